// A task executable for tests: what a task process sees of its surroundings, and every kind of retry.
#include <fcntl.h>
#include <libtask/json.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct Flaky : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Environment, open descriptors and capabilities, a line each.
void surroundings(const std::string& file) {
  std::ofstream out(file);
  for (char** entry = environ; *entry; ++entry) out << *entry << '\n';
  for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code ignored;
    out << "fd " << fd.path().filename().string() << ' '
        << std::filesystem::read_symlink(fd, ignored).string() << '\n';
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("Cap")) out << line << '\n';
}

void append(const std::string& file, const std::string& text) {
  const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) throw std::runtime_error("cannot append to " + file);
  close(fd);
}

// Ends at once, and leaves a thread that says a word when there is such a file.
void murmur(const std::string& file) {
  std::thread([file] {
    while (!std::filesystem::exists(file)) std::this_thread::sleep_for(5ms);
    std::puts("murmur");
    std::fflush(stdout);
  }).detach();
}

// Waits until a file is there, so that a test decides how long the job runs.
void until(const std::string& file) {
  while (!std::filesystem::exists(file)) std::this_thread::sleep_for(2ms);
}

// Half way it waits for the file, then gives back which attempt it was and with which meta, and defers two jobs.
void give(libtask::Context& job, const std::string& file) {
  job.progress(1, 2, "half way");
  until(file);
  job.progress(2, 2, "done");
  job.result({{"attempt", job.attempt()}, {"meta", nlohmann::json::parse(job.meta())}});
  job.defer("test.hopeless", {}, {.queue = "followers"});
  job.defer("test.hopeless", {}, {.queue = "followers", .meta = libtask::Args{{"tenant", "bob"}}});
}

// So many jobs in a row, each deferred by the one before it, and run again once.
void chain(libtask::Context& job, int links) {
  if (job.attempt() == 1) job.retry_in(0s, "once more");
  if (const auto before = job.deferred_by()) job.result({{"deferred_by", *before}});
  if (links > 1) job.defer("test.chain", {{"links", links - 1}}, {.queue = job.queue()});
}

// A line as misbehave.journal writes it: what, job, attempt, process, when.
void tell(const libtask::Context& job, const std::string& file, const std::string& what) {
  const std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
  append(file, what + ' ' + std::to_string(job.id()) + ' ' + std::to_string(job.attempt()) + ' ' +
                   std::to_string(getpid()) + ' ' + std::to_string(now.count()) + '\n');
}

// Such a line every 2 ms, for `ms` or until FILE.stop is there: when it ran, and when it did not.
void beat(libtask::Context& job, const std::string& file, std::optional<int> ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms.value_or(3'600'000));
  tell(job, file, "start");
  for (; std::chrono::steady_clock::now() < end && !std::filesystem::exists(file + ".stop");
       tell(job, file, "beat"))
    std::this_thread::sleep_for(2ms);
  tell(job, file, "end");
}

// Leaves behind a process of another session that goes on beating in the name of the job. It is an orphan
// before the job ends.
void beat_and_leave_a_daemon(libtask::Context& job, const std::string& file, std::optional<int> ms) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    for (;; std::this_thread::sleep_for(1ms)) tell(job, file, "beat");
  }
  waitpid(child, nullptr, 0);
  beat(job, file, ms);
}

// Leaves a process behind in one of the ways that there are, and its number in the file.
void leave(const std::string& way, const std::string& file) {
  const std::string script = "echo $$ > " + file + "; exec sleep 1000";
  const auto be_left = [&] {
    append(file, std::to_string(getpid()));
    for (;;) pause();
  };
  if (way == "popen" && popen(script.c_str(), "r") == nullptr) throw std::runtime_error("popen");
  if (way == "shell" && std::system(("(" + script + ") &").c_str()) != 0) throw std::runtime_error("system");
  if (way == "posix_spawn") {
    std::string words[] = {"sh", "-c", script};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    if (posix_spawn(nullptr, "/bin/sh", nullptr, nullptr, arguments, environ) != 0)
      throw std::runtime_error("posix_spawn");
  }
  if (way == "fork" && fork() == 0) be_left();
  if (way == "session" && fork() == 0) {
    setsid();
    be_left();
  }
  if (way == "subreaper") prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (way == "subreaper" || way == "double fork") {
    const pid_t child = fork();
    if (child == 0 && fork() == 0) be_left();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  }
  if (way == "chatter" && fork() == 0) {
    for (bool known = false;; known = true) {
      std::puts("chatter");
      std::fflush(stdout);
      if (!known) append(file, std::to_string(getpid()));
      usleep(200);
    }
  }
  while (!std::filesystem::exists(file) || std::filesystem::file_size(file) == 0)
    std::this_thread::sleep_for(1ms);
}

// Fails if the process whose number stands in the file lives.
void gone(const std::string& file) {
  std::string number;
  std::ifstream(file) >> number;
  std::string stat;
  std::getline(std::ifstream("/proc/" + number + "/stat"), stat);
  if (!stat.empty() && stat.find(") Z ") == std::string::npos) throw std::runtime_error("lives: " + stat);
}

// Closes stdout and stderr, or puts a file in the place of one.
void close_output() {
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
}
void redirect(const std::string& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) throw std::runtime_error("cannot redirect to " + file);
}

// Writes data of its own into a file, and something for the log, each where it belongs.
void write_both(const std::string& file) {
  std::ofstream(file) << "my data\n" << std::flush;
  std::ofstream out(file, std::ios::app);
  std::cout << "hello" << std::endl;
  out << "more\n";
}

// Leaves so many descriptors open that there is no other one, and fails of it, as whoever comes next would.
void exhaust_descriptors() {
  while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) continue;
  throw std::system_error(errno, std::generic_category(), "/dev/null");
}

// Begins a frame in the channel, and says nothing more of it.
void begin_a_frame() {
  const std::string_view half("\x40\0\0\0\x06", 5);
  if (write(3, half.data(), half.size()) < 0) throw std::runtime_error("cannot write to the channel");
}

// The same, but when FILE is there, in a thread that outlives the job; FILE.done is there then.
void begin_a_frame_later(const std::string& file) {
  std::thread([file] {
    while (!std::filesystem::exists(file)) std::this_thread::sleep_for(2ms);
    begin_a_frame();
    std::ofstream(file + ".done");
  }).detach();
}

void write_newlines(libtask::Context& job, int kib) {
  const std::string lines(1024, '\n');
  for (int i = 0; i < kib && !job.should_abort(); ++i) std::cout << lines;
  std::cout << std::flush;
}

// Starts a helper that is there before the first job.
void start_helper(const std::string& file) {
  if (fork() != 0) return;
  append(file, std::to_string(getpid()));
  for (;;) pause();
}

// Its file is there when it waits, and FILE.told when it was told to stop.
void wait_for_a_stop(libtask::Context& job, const std::string& file) {
  std::mutex mutex;
  std::condition_variable_any wakes;
  std::unique_lock lock(mutex);
  append(file, "waits");
  if (!wakes.wait_for(lock, job.stop_token(), 1h, [] { return false; })) append(file + ".told", "stop");
}

void say_in_the_log(libtask::Context& job) {
  job.log(libtask::LogLevel::warning, "half way", {{"done", 5}, {"of", {{"plates", 10}}}});
  job.log(libtask::LogLevel::debug, "not worth a line");
}

void hold_memory(int mib) {
  std::vector<char> much(static_cast<std::size_t>(mib) << 20U, 'x');
  for (;; std::this_thread::sleep_for(1ms)) much.back() = 'y';
}

// What the authors of tasks register beside handlers.
void register_kinds(libtask::Namespace test) {
  static bool is_set_up = false;
  test.set_up([] { is_set_up = true; });
  static bool is_asked_after = false;
  test.tear_down([] {
    if (is_asked_after) std::puts("torn down");
  });
  test.task("was_set_up", [] {
    if (!is_set_up) throw std::logic_error("set_up() did not run");
    is_asked_after = true;
  });
  test.task("new_name", [](libtask::Context& job) { std::cout << "as " << job.task() << '\n'; })
      .alias("test.old_name");
  test.task("alone", [](const std::string& file) { append(file, std::to_string(getpid()) + "\n"); }, {"file"})
      .fresh_process();
  test.task("grows", hold_memory, {"mib"}).memory_limit(64L << 20U);
  test.task("busy",
            [](libtask::Context& job, bool counts) {
              if (job.attempt() < 5) job.retry_in(0s, "busy", {.priority = 3, .counts = counts});
            },
            {"counts"})
      .retry({.max_attempts = 2});
  libtask::Namespace forgiving = test.in("forgiving");
  forgiving.around([](libtask::Context& job, const libtask::Handler& next) {
    try {
      next(job);
    } catch (const Flaky& error) {
      job.log(libtask::LogLevel::info, std::string("forgiven: ") + error.what());
    }
  });
  forgiving.task("throws", [] { throw Flaky("of no account"); });
}

// What main() is told before the arguments of libtask. --thread: handlers run in a thread that is not the
// first.
// --helper=FILE: starts a helper, whose number it writes into the file.
// --no-stack: the program has taken the signal for itself, and cannot tell a sub-worker where its handler is.
bool take(int& argc, char** argv, const std::string& option) {
  if (argc < 2 || argv[1] != option) return false;
  argv[1] = argv[0];
  --argc;
  return true;
}

int run(libtask::App& app, int argc, char** argv, bool in_thread) {
  if (!in_thread) return app.run(argc, argv);
  int status = 0;
  std::thread([&] { status = app.run(argc, argv); }).join();
  return status;
}

// What the job is, as its handler sees it.
void show(libtask::Context& job) {
  std::cout << "job " << job.id() << ", attempt " << job.attempt() << ", queue " << job.queue()
            << ", priority " << job.priority() << ", lock " << job.lock() << ", meta " << job.meta()
            << ", deferred by " << job.deferred_by().value_or(0) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  const bool in_thread = take(argc, argv, "--thread");
  if (in_thread) ++argv;
  if (take(argc, argv, "--no-stack")) {
    ++argv;
    std::signal(SIGRTMAX - 1, SIG_IGN);
  }
  if (const std::string_view word = argc > 1 ? argv[1] : ""; word.starts_with("--helper=")) {
    start_helper(std::string(word.substr(9)));
    take(argc, argv++, std::string(word));
  }
  libtask::App app;
  app.task("test.leave", leave, {"way", "file"});
  app.task("test.gone", gone, {"file"});
  app.task("test.leave_and_stay",
           [](const std::string& way, const std::string& file) {
             leave(way, file);
             for (;;) pause();
           },
           {"way", "file"});
  app.task("test.close_output", close_output);
  app.task("test.redirect", redirect, {"file"});
  app.task("test.write_both", write_both, {"file"});
  app.task("test.exhaust_descriptors", exhaust_descriptors);
  app.task("test.begin_a_frame", begin_a_frame);
  app.task("test.begin_a_frame_later", begin_a_frame_later, {"file"});
  app.task("test.write_newlines", write_newlines, {"kib"});
  app.task("test.surroundings", surroundings, {"file"});
  app.task("test.append", append, {"file", "text"});
  app.task("test.until", until, {"file"});
  app.task("test.chain", chain, {"links"});
  app.task("test.give", give, {"file"});
  app.task("test.give_too_much", [](libtask::Context& job) { job.result(std::string(1024UL * 1024, 'x')); });
  app.task("test.murmur", murmur, {"file"});
  app.task("test.beat", beat, {"file", "ms"});
  app.task("test.daemon", beat_and_leave_a_daemon, {"file", "ms"});
  app.task("test.flaky",
           [](libtask::Context& job) {
             if (job.attempt() < 3) throw Flaky("not yet");
           })
      .retry({.max_attempts = 5, .on = libtask::exceptions<Flaky>()});
  app.task("test.other_error", [] { throw std::logic_error("not of the kind"); })
      .retry({.max_attempts = 5, .on = libtask::exceptions<Flaky>()});
  app.task("test.demoted",
           [](libtask::Context& job) {
             if (job.attempt() == 1) throw Flaky("elsewhere, please");
           })
      .retry({.max_attempts = 1, .priority = -7, .queue = "elsewhere", .lock = "narrow"});
  app.task("test.hopeless", [] { throw Flaky("never"); }).retry({.max_attempts = 2});
  app.task("test.says", [](const std::string& words) { throw Flaky(words); }, {"words"})
      .retry({.max_attempts = 2});
  app.task("test.later",
           [](libtask::Context& job) {
             if (job.attempt() == 1) throw Flaky("in a second");
           })
      .retry({.max_attempts = 1, .wait = 1s});
  app.task("test.defers",
           [](libtask::Context& job, const std::string& file, bool fails) {
             job.defer("test.append", {{"file", file}, {"text", "deferred"}}, {.queue = job.queue()});
             if (fails) throw Flaky("so nothing is deferred");
           },
           {"file", "fails"});
  app.task("test.impossible_defer",
           [](libtask::Context& job) { job.defer("test.append", {}, {.queue = std::string(200, 'q')}); });
  app.task("test.show", show);
  app.task("test.gibberish", [] { throw std::runtime_error("no \xff text"); });
  app.task("test.wait_for_a_stop", wait_for_a_stop, {"file"});
  app.task("test.log", say_in_the_log);
  register_kinds(app.in("test"));
  app.task("test.tick", [] {});
  app.periodic("* * * * * *", "test.tick");
  return run(app, argc, argv, in_thread);
}

// A task executable for libtask_channel_test: handlers that look at the channel from the inside.
#include <fcntl.h>
#include <libtask/json.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

void run_in_a_shell(const std::string& command) {
  std::cout << std::flush;
  if (std::system(command.c_str()) != 0) throw std::runtime_error("the command failed");
}

// Text in the buffers of both C and C++, with no end of line that would flush it.
void write_without_flushing() {
  std::cout << "from a stream ";
  std::printf("and from C");
}

// The child makes the mistake; the parent waits for it, so that whatever it says is said before the result.
void let_a_child_return() {
  const pid_t child = fork();
  if (child > 0) waitpid(child, nullptr, 0);
}

void count_to(libtask::Context& job, int last) {
  for (int i = 1; i <= last; ++i)
    job.progress(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(last));
}

void give(libtask::Context& job) {
  job.progress(1, 2, "half");
  job.result({{"meta", nlohmann::json::parse(job.meta())}});
}

void let_followers_inherit(libtask::Context& job) {
  job.defer("channel.nothing");
  job.defer("channel.nothing", {}, {.meta = libtask::Args{{"tenant", "bob"}}});
  job.defer("channel.nothing", {}, {.meta = libtask::Args{}});
}

void say_when(libtask::Context& job) {
  const auto at = job.scheduled_at();
  job.result(at ? std::optional(std::chrono::duration<double>(at->time_since_epoch()).count())
                : std::nullopt);
}

void run_again(libtask::Context& job) {
  job.retry_in(2s, "busy", {.priority = -7, .queue = "later", .lock = "narrow", .counts = false});
}

// Wherever a signal comes, it comes at a bad time: in malloc, in the unwinder, in the middle of a frame.
void toss(libtask::Context& job, int times) {
  for (int i = 1; i <= times; ++i) {
    try {
      throw std::runtime_error(std::string(static_cast<std::size_t>(100 + i % 1000), 'x'));
    } catch (const std::exception&) {
      job.progress(static_cast<std::uint64_t>(i));
    }
  }
}

// Its parent goes at once: it is no child of this process.
void daemonize() {
  if (fork() == 0) {
    if (fork() == 0) pause();
    _exit(0);
  }
}

void fork_behind_a_handler() {
  std::signal(SIGCHLD, SIG_IGN);
  if (fork() == 0) _exit(0);
  std::signal(SIGCHLD, SIG_DFL);
}

void leave_a_child() {
  if (fork() == 0) pause();
}

void replace_stdout(const std::string& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  dup2(fd, STDOUT_FILENO);
  close(fd);
}

void defer_one(libtask::Context& job) {
  job.defer("channel.nothing");
}

void grow(int mib) {
  std::vector<char> much(static_cast<std::size_t>(mib) << 20U, 'x');
  if (much.back() != 'x') throw std::runtime_error("memory forgets");
}

// Writes into the ledger, which is mapped somewhere: a word, of which there are four for each entry.
void scribble(int word, std::uint64_t value) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("postpone-ledger") == std::string::npos) continue;
    auto* const words = reinterpret_cast<std::uint64_t*>(std::stoull(line, nullptr, 16));
    words[word] = value;
    return;
  }
  throw std::runtime_error("there is no ledger");
}

void say_on_stderr(const std::string& text) {
  std::fputs(text.c_str(), stderr);
}

void disturb_the_process() {
  umask(0777);
  if (chdir("/proc") != 0) throw std::runtime_error("chdir");
  alarm(100);
  std::signal(SIGTERM, SIG_DFL);
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

// Leaves a signal behind that arrives as soon as it is unblocked.
void leave_pending(int number, bool by_alarm) {
  std::signal(number, SIG_DFL);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  if (by_alarm)
    alarm(1);
  else
    kill(getpid(), number);
  sigset_t pending;
  do {
    sigpending(&pending);
  } while (!sigismember(&pending, number));
}

void show_the_process() {
  const mode_t mask = umask(022);
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  struct sigaction term {};
  sigaction(SIGTERM, nullptr, &term);
  std::cout << std::filesystem::current_path().string() << ' ' << std::oct << mask << ' ' << std::dec
            << alarm(0) << ' ' << sigismember(&blocked, SIGUSR1) << ' ' << (term.sa_handler == SIG_DFL)
            << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  libtask::App app;
  app.task("channel.shell", run_in_a_shell, {"command"});
  app.task("channel.write", write_without_flushing);
  app.task("channel.fork", let_a_child_return);
  app.task("channel.disturb", disturb_the_process);
  app.task("channel.pending", leave_pending, {"number", "by_alarm"});
  app.task("channel.show", show_the_process);
  app.task("channel.count", count_to, {"last"});
  app.task("channel.give", give);
  app.task("channel.give_alone", [](libtask::Context& job) { job.result(3); });
  app.task("channel.inherit", let_followers_inherit);
  app.task("channel.when", say_when);
  app.task("channel.again", run_again);
  app.task("channel.toss", toss, {"times"});
  app.task("channel.nothing", [] {});
  app.task("channel.say", say_on_stderr, {"text"});
  app.task("channel.scribble", scribble, {"word", "value"});
  app.task("channel.sleep", [](int ms) { usleep(static_cast<useconds_t>(ms) * 1000); }, {"ms"});
  app.task("channel.throw", [] { throw std::runtime_error("no towel"); });
  app.task("channel.crash", [] { std::abort(); });
  app.task("channel.pause", [] { pause(); });
  app.task("channel.hang", [] {
    while (true) pause();
  });
  app.task("channel.terminate", [] { raise(SIGTERM); });
  app.task("channel.daemonize", daemonize);
  app.task("channel.child", leave_a_child);
  app.task("channel.unseen", fork_behind_a_handler);
  app.task("channel.stdout", replace_stdout, {"file"});
  app.task("channel.defer", defer_one);
  app.task("channel.grow", grow, {"mib"});
  app.task("channel.log", [](libtask::Context& job) {
    for (int i = 0; i < 3; ++i) job.log(libtask::LogLevel::error, "line", {{"number", i}});
  });
  app.task("channel.close", [] { close(STDIN_FILENO); });
  return app.run(argc, argv);
}

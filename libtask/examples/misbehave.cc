// Everything that a task should not do, on demand: to watch what it costs (that one job), and for Postpone's
// own tests.
//
//   ./misbehave --list
//   ./misbehave run misbehave.throw '{"message": "out of plates"}'
#include <fcntl.h>
#include <libtask/json.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr int kChannelFd = 3;  // docs/protocol.md

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void throw_exception(const std::optional<std::string>& message) {
  throw std::runtime_error(message.value_or("thrown on demand"));
}

// A page that may not be written, rather than a null pointer that a compiler or a sanitizer could see; and
// the default action, because a sanitizer's handler would turn the signal into an exit.
void segfault() {
  std::signal(SIGSEGV, SIG_DFL);
  void* page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) fail("mmap");
  *static_cast<volatile char*>(page) = 1;
}

void crash_on_the_first_attempt(libtask::Context& job) {
  if (job.attempt() == 1) segfault();
  std::cout << "attempt " << job.attempt() << " went well\n";
}

void exit_from_handler(std::optional<int> status) {
  std::exit(status.value_or(3));
}

// Never asks should_abort(), and SIGTERM only sets what that would return.
[[noreturn]] void hang() {
  while (true) pause();
}

// Deaf as well, and busy.
[[noreturn, gnu::noinline]] void spin() {
  for (volatile unsigned turns = 0;;) turns = turns + 1;
}

void wait_for_abort(libtask::Context& job, std::optional<int> ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms.value_or(0));
  while (!ms || std::chrono::steady_clock::now() < end) {
    if (job.should_abort()) throw libtask::Aborted{};
    std::this_thread::sleep_for(2ms);
  }
}

[[noreturn]] void flood() {
  while (true) std::cout << "There is always one more line to write, and nobody who reads all of them.\n";
}

// The daemon leaves the session and the process group, and keeps stdout and stderr open.
[[noreturn]] void be_a_daemon(const std::optional<std::string>& pid_file) {
  setsid();
  if (fork() != 0) _exit(0);
  if (pid_file) std::ofstream(*pid_file) << getpid() << std::flush;
  std::this_thread::sleep_for(10min);
  _exit(0);
}

// Returns once the daemon's parent is gone, so that the daemon is an orphan by then.
void fork_away(const std::optional<std::string>& pid_file) {
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) be_a_daemon(pid_file);
  waitpid(child, nullptr, 0);
}

// Never the same process for longer than a fork takes, so that a kill by a number that was read comes too
// late.
[[noreturn]] void run_away() {
  setsid();
  while (true)
    if (fork() > 0) _exit(0);
}

void fork_a_runaway() {
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) run_away();
}

void garble_channel() {
  constexpr std::string_view kJunk = "this is no frame of any protocol";
  if (write(kChannelFd, kJunk.data(), kJunk.size()) < 0) fail("cannot write to the channel");
}

void close_channel() {
  if (close(kChannelFd) != 0) fail("cannot close the channel");
}

void grow(libtask::Context& job, int mib) {
  constexpr std::size_t kMib = 1024UL * 1024;
  std::vector<std::vector<char>> held;
  while (held.size() < static_cast<std::size_t>(std::max(mib, 0)) && !job.should_abort()) {
    held.emplace_back(kMib, 'x');
    job.progress(held.size(), static_cast<std::uint64_t>(mib));
  }
}

// "start 17 1 4242 123456789": what, job, attempt, process, monotonic nanoseconds.
void write_journal_line(const std::string& path, const char* what, const libtask::Context& job) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::string line = std::string(what) + ' ' + std::to_string(job.id()) + ' ' +
                           std::to_string(job.attempt()) + ' ' + std::to_string(getpid()) + ' ' +
                           std::to_string(std::chrono::nanoseconds(now).count()) + '\n';
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) fail(path);
  const ssize_t written = write(file, line.data(), line.size());
  close(file);
  if (written < 0) fail(path);
}

// With `gives` it tells its progress, and gives back which attempt it was.
void journal(libtask::Context& job, const std::string& file, std::optional<int> ms,
             std::optional<bool> gives) {
  write_journal_line(file, "start", job);
  if (gives.value_or(false)) job.progress(1, 2, "half");
  std::this_thread::sleep_for(std::chrono::milliseconds(ms.value_or(0)));
  if (gives.value_or(false)) job.result({{"attempt", job.attempt()}});
  write_journal_line(file, "end", job);
}

// Until it is asked to stop; and when it has heard of that.
void journal_until_abort(libtask::Context& job, const std::string& file) {
  write_journal_line(file, "start", job);
  while (!job.should_abort()) std::this_thread::sleep_for(100us);
  write_journal_line(file, "asked", job);
  throw libtask::Aborted{};
}

}  // namespace

int main(int argc, char** argv) {
  libtask::App app;
  const std::string queue = "misbehave";
  app.task("misbehave.throw", throw_exception, {"message"}).queue(queue);
  app.task("misbehave.segfault", segfault).queue(queue);
  app.task("misbehave.abort", [] { std::abort(); }).queue(queue);
  app.task("misbehave.exit", exit_from_handler, {"status"}).queue(queue);
  app.task("misbehave.once", crash_on_the_first_attempt).queue(queue).retry({.max_attempts = 1});
  app.task("misbehave.hang", hang).queue(queue);
  app.task("misbehave.spin", spin).queue(queue);
  app.task("misbehave.wait", wait_for_abort, {"ms"}).queue(queue);
  app.task("misbehave.flood", flood).queue(queue);
  app.task("misbehave.forkaway", fork_away, {"pid_file"}).queue(queue);
  app.task("misbehave.runaway", fork_a_runaway).queue(queue);
  app.task("misbehave.garble", garble_channel).queue(queue);
  app.task("misbehave.close_channel", close_channel).queue(queue);
  app.task("misbehave.memory", grow, {"mib"}).queue(queue);
  app.task("misbehave.noop", [] {}).queue(queue);
  libtask::Task journals = app.task("misbehave.journal", journal, {"file", "ms", "gives"});
  journals.queue(queue).retry({.max_attempts = 3});
  if (const char* limit = std::getenv("MISBEHAVE_JOURNALS")) journals.concurrency_limit(std::atoi(limit));
  app.task("misbehave.obey", journal_until_abort, {"file"}).queue(queue);
  return app.run(argc, argv);
}

// The tasks of a torture run: every way in which a task can go well or badly, each of which tells the journal
// (TORTURE_JOURNAL) that it lives, for as long as it does.
#include <libtask/json.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "tests/torture/journal.h"

namespace {

using namespace std::chrono_literals;
using libtask::Context;
using postpone::torture::JournalWriter;
using postpone::torture::Sign;

constexpr auto kBeat = 5ms;

const JournalWriter& journal() {
  static const JournalWriter writer = [] {
    const char* path = std::getenv("TORTURE_JOURNAL");
    if (!path) throw std::runtime_error("TORTURE_JOURNAL is not set: these tasks are run by scripts/torture");
    return JournalWriter(path);
  }();
  return writer;
}

// An execution's signs of life: start, then beats from a thread of its own until the handler is left in
// whatever way.
class Pulse {
 public:
  explicit Pulse(const Context& job) : job_(job.id()), attempt_(job.attempt()), lock_(job.lock()) {
    write(Sign::start);
    thread_ = std::thread([this] { beat(); });
  }
  ~Pulse() { stop(); }
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  // The handler is about to return.
  void end() {
    stop();
    write(Sign::end);
  }
  void write(Sign sign) const { journal().write(sign, job_, attempt_, lock_); }

 private:
  void beat() const {
    while (!stopped_) {
      std::this_thread::sleep_for(kBeat);
      write(Sign::beat);
    }
  }
  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }

  const std::int64_t job_;
  const int attempt_;
  const std::string lock_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

// --- that end well ---

void sleep_for(Context& job, int ms) {
  Pulse pulse(job);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end) {
    if (job.should_abort()) throw libtask::Aborted{};
    std::this_thread::sleep_for(2ms);
  }
  pulse.end();
}

void be_busy(Context& job, int ms) {
  Pulse pulse(job);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end) {
  }
  pulse.end();
}

// Ends only when the file is there.
void wait_for_file(Context& job, const std::string& file) {
  Pulse pulse(job);
  while (::access(file.c_str(), F_OK) != 0) {
    if (job.should_abort()) throw libtask::Aborted{};
    std::this_thread::sleep_for(5ms);
  }
  pulse.end();
}

void defer_followers(Context& job, int followers, const std::string& lock) {
  Pulse pulse(job);
  for (int i = 0; i < followers; ++i)
    job.defer("torture.sleep", {{"ms", 1}, {"parent", job.id()}}, {.queue = job.queue(), .lock = lock});
  pulse.end();
}

// --- that fail ---

struct Mishap : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void fail_at_first(Context& job, int failures) {
  Pulse pulse(job);
  std::this_thread::sleep_for(3ms);
  if (job.attempt() <= failures) throw Mishap("not yet");
  pulse.end();
}

void fail_always(Context& job) {
  const Pulse pulse(job);
  throw Mishap("never");
}

// --- that crash ---

// A page that may not be written, and the default action, because a sanitizer would turn the signal into an
// exit.
[[noreturn]] void segfault(Context& job) {
  const Pulse pulse(job);
  std::signal(SIGSEGV, SIG_DFL);
  void* page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *static_cast<volatile char*>(page) = 1;
  std::abort();
}

[[noreturn]] void abort_itself(Context& job) {
  const Pulse pulse(job);
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

[[noreturn]] void exit_at_once(Context& job) {
  const Pulse pulse(job);
  ::_exit(3);
}

// --- that have to be stopped ---

// Hears neither should_abort() nor SIGTERM.
[[noreturn]] void be_deaf(Context& job) {
  const Pulse pulse(job);
  std::signal(SIGTERM, SIG_IGN);
  for (;;) std::this_thread::sleep_for(1s);
}

[[noreturn]] void hang(Context& job) {
  const Pulse pulse(job);
  for (;;) std::this_thread::sleep_for(1s);
}

[[noreturn]] void flood(Context& job) {
  const Pulse pulse(job);
  for (;;) std::cout << "There is always one more line to write, and nobody who reads all of them.\n";
}

// --- that leave something behind ---

// Leaves session and process group, and lives in the name of the job until it is killed.
[[noreturn]] void be_a_daemon(const Pulse& pulse) {
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  for (;;) {
    pulse.write(Sign::beat);
    ::usleep(5000);
  }
}

// Returns, or crashes, once the daemon is an orphan.
void fork_away(Context& job, bool crashes) {
  Pulse pulse(job);
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) be_a_daemon(pulse);
  ::waitpid(child, nullptr, 0);
  if (crashes) ::_exit(4);
  pulse.end();
}

}  // namespace

int main(int argc, char** argv) {
  libtask::App app;
  const libtask::RetryOptions at_once{.max_attempts = 2};
  const libtask::RetryOptions soon{.max_attempts = 3, .wait = 100ms};
  app.task("torture.sleep",
           [](Context& job, int ms, std::optional<std::int64_t> /*parent*/) { sleep_for(job, ms); },
           {"ms", "parent"});
  app.task("torture.busy", be_busy, {"ms"});
  app.task("torture.wait", wait_for_file, {"file"});
  app.task("torture.defers", defer_followers, {"followers", "lock"});
  app.task("torture.flaky", fail_at_first, {"failures"}).retry(soon);
  app.task("torture.hopeless", fail_always).retry(at_once);
  app.task("torture.segfault", segfault).retry(at_once);
  app.task("torture.abort", abort_itself);
  app.task("torture.exit", exit_at_once).retry(soon);
  app.task("torture.deaf", be_deaf).time_limit(200ms);
  app.task("torture.hang", hang).time_limit(300ms).retry(at_once);
  app.task("torture.flood", flood);
  app.task("torture.daemon", fork_away, {"crashes"});
  return app.run(argc, argv);
}

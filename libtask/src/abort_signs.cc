#include "abort_signs.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

#include "termination.h"

namespace libtask::detail {
namespace {

constexpr int kNone = -1;
constexpr std::chrono::duration<std::int64_t, std::milli> kLongestLimit = std::chrono::hours(24 * 365);

// While it lives, threads that are started block all signals: those are for the thread that runs handlers, whose
// sleeps they are to end early.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

// The limit is cut to what the clock can hold: a "no limit" may be written as the largest number there is.
AbortSigns::AbortSigns(JobGiver& giver, std::int64_t job_id, std::int64_t time_limit_ms)
    : giver_(giver), job_id_(job_id), reason_(kNone) {
  if (time_limit_ms > 0)
    deadline_ = giver_.now() + std::chrono::milliseconds(std::min(time_limit_ms, kLongestLimit.count()));
}

// The giver comes first: it knows the reason, and a signal may be only what it sent along.
std::optional<AbortReason> AbortSigns::find() const {
  if (const auto wish = giver_.stop_wish(job_id_)) return wish;
  if (deadline_ && giver_.now() >= *deadline_) return AbortReason::time_limit;
  return termination_wish();
}

bool AbortSigns::look() {
  return has_reason() && may_tell();
}

bool AbortSigns::has_reason() {
  if (reason_.load() != kNone) return true;
  const std::lock_guard lock(mutex_);
  if (reason_.load() != kNone) return true;
  const auto found = find();
  if (!found) return false;
  reason_.store(static_cast<int>(*found));
  if (event_ >= 0) wake();
  return true;
}

std::optional<AbortReason> AbortSigns::reason() const {
  const int reason = reason_.load();
  if (reason == kNone) return std::nullopt;
  return static_cast<AbortReason>(reason);
}

std::optional<AbortReason> AbortSigns::told_reason() const {
  return telling_.load() == Telling::told ? reason() : std::nullopt;
}

bool AbortSigns::may_tell() {
  Telling before = Telling::open;
  return telling_.compare_exchange_strong(before, Telling::told) || before == Telling::told;
}

bool AbortSigns::end_telling() {
  Telling before = Telling::open;
  return !telling_.compare_exchange_strong(before, Telling::closed) && before == Telling::told;
}

std::stop_token AbortSigns::token() {
  start();
  return source_.get_token();
}

void AbortSigns::call(Callback callback) {
  {
    const std::lock_guard lock(mutex_);
    if (!has_told_) callbacks_.push_back(std::exchange(callback, nullptr));
  }
  if (callback) return callback(*reason());
  start();
}

void AbortSigns::start() {
  const std::lock_guard lock(mutex_);
  if (thread_.joinable()) return;
  if (event_ < 0) event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_ < 0) throw std::system_error(errno, std::generic_category(), "cannot wait for an abort");
  if (!source_.stop_possible()) source_ = std::stop_source();
  wake_at_termination(event_);
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { watch(); });
}

void AbortSigns::end() {
  if (thread_.joinable()) {
    has_ended_.store(true);
    wake();
    thread_.join();
  }
  wake_at_termination(-1);
  if (event_ >= 0) ::close(std::exchange(event_, -1));
}

void AbortSigns::watch() {
  while (!has_ended_.load()) {
    if (has_reason()) return tell();
    wait();
  }
}

// The reason first, and by one thread: who is told of it finds it. Callbacks run without the lock, so that they
// may ask and register.
void AbortSigns::tell() {
  if (!may_tell()) return;
  source_.request_stop();
  for (;;) {
    std::vector<Callback> callbacks;
    {
      const std::lock_guard lock(mutex_);
      callbacks.swap(callbacks_);
      if (callbacks.empty()) has_told_ = true;
    }
    if (callbacks.empty()) return;
    for (const Callback& callback : callbacks) callback(*reason());
  }
}

void AbortSigns::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event_, &one, sizeof one);  // full = it is readable already
}

void AbortSigns::wait() const {
  std::int64_t timeout = -1;
  if (deadline_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - giver_.now());
    timeout = std::clamp<std::int64_t>(left.count(), 0, std::numeric_limits<int>::max());
  }
  if (const auto interval = giver_.look_interval())
    timeout = timeout < 0 ? interval->count() : std::min<std::int64_t>(timeout, interval->count());
  pollfd fds[] = {{event_, POLLIN, 0}, {giver_.stop_descriptor(), POLLIN, 0}};
  poll(fds, std::size(fds), static_cast<int>(timeout));
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(event_, &count, sizeof count);
}

}  // namespace libtask::detail

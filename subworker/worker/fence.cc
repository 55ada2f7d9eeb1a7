#include "subworker/worker/fence.h"

#include <cerrno>
#include <csignal>

#include <algorithm>

#include "sys/fd.h"

namespace postpone::subworker {

Fence::Fence(const board::Slot& slot, const config::Supervisor& config, bool exists)
    : slot_(slot),
      fence_after_(config.fence_after),
      dead_after_((config.fence_after + config.stalled_after) / 2),
      exists_(exists) {
  if (!exists_) return;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGKILL;
  if (::timer_create(CLOCK_BOOTTIME, &event, &timer_) == 0) return;
  if (errno == EAGAIN)
    sys::throw_errno(
        "cannot make the timer of the fence: this user has as many timers and pending signals as it "
        "may (RLIMIT_SIGPENDING, `ulimit -i`)");
  sys::throw_errno("cannot make the timer of the fence");
}

Fence::~Fence() {
  if (exists_) ::timer_delete(timer_);
}

// The housekeeper writes on the slot when a heartbeat last reached the database, and which lease is gone.
bool Fence::is_up(std::int64_t leased_since_ns) const {
  if (!exists_ || slot_.lease.load() == 0) return false;
  if (lease_is_lost()) return true;
  return std::chrono::nanoseconds(board::boot_ns() - good_ns(leased_since_ns)) > fence_after_;
}

bool Fence::lease_is_lost() const {
  const auto lease = slot_.lease.load();
  return lease != 0 && slot_.lost_lease.load() == lease;
}

void Fence::guard(std::int64_t leased_since_ns) {
  const auto good = good_ns(leased_since_ns);
  if (!exists_ || good == guarded_from_ns_) return;
  guarded_from_ns_ = good;
  set_timer(std::chrono::nanoseconds(good) + dead_after_);
}

void Fence::stand_down() {
  if (!exists_ || guarded_from_ns_ == 0) return;
  guarded_from_ns_ = 0;
  set_timer(std::chrono::nanoseconds(0));
}

std::int64_t Fence::good_ns(std::int64_t leased_since_ns) const {
  return std::max(slot_.good_since(slot_.lease.load()), leased_since_ns);
}

// Never fails: the timer is ours, and the time is one.
void Fence::set_timer(std::chrono::nanoseconds at) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
  itimerspec when{};
  when.it_value.tv_sec = seconds.count();
  when.it_value.tv_nsec = (at - seconds).count();
  ::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr);
}

}  // namespace postpone::subworker

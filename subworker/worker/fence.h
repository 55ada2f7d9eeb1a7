// The fence: nothing runs here any more when another host may have taken its job.
//
// A lease is as good as its last heartbeat that has reached the database. After stalled_after without one,
// any housekeeper that notices rescues its jobs. Two stages come before:
//
//   fence_after         the sub-worker finds itself fenced (is_up()), kills its task and keeps what it knows
//   halfway from there  the kernel kills the sub-worker, by a timer that needs no process to run, and so hits
//   to stalled_after    a stopped one too. Its task dies with it, by the parent-death signal, before it can
//                       be thawed.
//
// The second is for sub-workers that cannot look: stopped, frozen with their whole host, or stuck in
// a system call. All of it by CLOCK_BOOTTIME, which goes on while the machine sleeps. A virtual machine that
// is paused together with its clocks is beyond this: what it does until its sub-workers look again, some 50
// ms, may overlap.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

#include "board/board.h"
#include "config/config.h"

namespace postpone::subworker {

class Fence {
 public:
  // `exists`: false for a sub-worker that was started by hand. It has no housekeeper, and nothing to go by.
  // Throws std::system_error when the kernel has no timer for us.
  Fence(const board::Slot& slot, const config::Supervisor& config, bool exists);
  ~Fence();
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

  // Is nothing to be run under the present lease? `leased_since_ns`: when its taking, or a renewal by
  // ourselves, was begun (board::boot_ns()).
  bool is_up(std::int64_t leased_since_ns) const;

  // Is it known that the present lease is gone? Then waiting mends nothing: another lease is to be taken.
  bool lease_is_lost() const;

  // While a job runs: sets the timer by what is known now. Again and again, as heartbeats come in.
  void guard(std::int64_t leased_since_ns);
  // The job has ended and nothing of it lives.
  void stand_down();

 private:
  std::int64_t good_ns(std::int64_t leased_since_ns) const;
  void set_timer(std::chrono::nanoseconds at);

  const board::Slot& slot_;
  const std::chrono::nanoseconds fence_after_;
  const std::chrono::nanoseconds dead_after_;
  const bool exists_;
  timer_t timer_{};
  std::int64_t guarded_from_ns_ = 0;  // what the timer was set by; 0 = not set
};

}  // namespace postpone::subworker

// The one way in which a loop of ours takes a failed step again. Whatever the error was, the next try comes
// after a wait, and each wait is longer than the one before, up to the limit of the Backoff:
//
//     const auto step = [&] { return try_it() ? Tried::done : Tried::again; };
//     const auto wait = [&](std::chrono::milliseconds limit) { return wait_and_show_a_sign_of_life(limit); };
//     const bool done = retry(backoff, step, wait);
//
// A loop without its wait cannot be written with it. Code that callbacks drive (the listener, the
// supervisor's children) keeps a Backoff and a timer instead; code that repeats a round of duties keeps a
// Pause for each.
#pragma once

#include <chrono>
#include <utility>

#include "sys/backoff.h"

namespace postpone::sys {

enum class Tried { done, again };

// Runs `step` until it returns `done`; true then, and the backoff begins anew. In between calls `wait` with
// the time to wait; when that returns false, there is no point in going on, and so does this.
template <class Step, class Wait>
bool retry(Backoff& backoff, Step&& step, Wait&& wait) {
  while (step() == Tried::again) {
    if (!wait(backoff.next(chance()))) return false;
  }
  backoff.reset();
  return true;
}

// When one of several things that are done again and again may be tried next: at once, unless it has failed.
// Pure: time and chance are arguments.
class Pause {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Pause(Backoff backoff) : backoff_(backoff) {}

  bool over(Clock::time_point now) const { return now >= until_; }
  Clock::time_point until() const { return until_; }  // the epoch when it has not failed
  int failures() const { return backoff_.failures(); }
  void failed(Clock::time_point now, double chance) { until_ = now + backoff_.next(chance); }
  void succeeded() {
    backoff_.reset();
    until_ = {};
  }

 private:
  Backoff backoff_;
  Clock::time_point until_;
};

}  // namespace postpone::sys

// The event loop: descriptors, timers and signals call back, one at a time, in the one thread that runs it.
// Boost.Asio stays inside.
//
// A callback that is cancelled or replaced is never called, not even when its event had come in already.
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>

namespace postpone::supervisor {

using Callback = std::function<void()>;

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop()
  void stop();  // run() returns when the callback that runs has ended

  // From now on each of these signals calls back instead of doing what it does by default. Once for the loop.
  void on_signals(std::initializer_list<int> signals, std::function<void(int)> callback);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Waits for events of one descriptor. It keeps a duplicate, so that the owner may close its own at any time.
class Watch {
 public:
  // Throws std::system_error when the descriptor cannot be duplicated. REQUIRES: the loop outlives it.
  Watch(Loop& loop, int fd);
  ~Watch();
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;

  // Calls back once, the next time that the descriptor is readable (writable), or at its end.
  void when_readable(Callback callback);
  void when_writable(Callback callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;

  // Calls back once; replaces what was set before.
  void set(std::chrono::steady_clock::time_point at, Callback callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::supervisor

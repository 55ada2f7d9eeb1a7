// Why the running job should stop: what its giver says, its time limit, a signal. Whoever asks finds the first
// reason; a stop token or a callback is told of it by a thread that waits for all three.
//
// What somebody has found, and what the handler was told, are two things: the thread may find a reason when the handler
// has just returned with its work done. end_telling() draws the line between both.
//
// The thread is started only for a job that wants it. It sleeps in poll() until one of these happens:
//   the giver's descriptor is readable    an abort has come, or the channel is closed
//   SIGTERM or SIGINT has come            the signal handler writes into the event (termination.h)
//   the deadline is reached               the timeout of poll()
//   somebody else has found a reason, or the handler has ended: both write into the event
// Thread safety: everything may be called by any thread at any time, but for the constructor and end().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "job_giver.h"

namespace libtask::detail {

class AbortSigns {
 public:
  using Clock = std::chrono::steady_clock;
  using Callback = std::function<void(AbortReason)>;

  // time_limit_ms: 0 = none. The giver outlives it.
  AbortSigns(JobGiver& giver, std::int64_t job_id, std::int64_t time_limit_ms);
  ~AbortSigns() { end(); }
  AbortSigns(const AbortSigns&) = delete;
  AbortSigns& operator=(const AbortSigns&) = delete;

  // Is there a reason by now? Then the handler, which asks, has been told. Never blocks. False after end_telling().
  bool look();
  // The first one that was found, by a look of the handler or of the thread.
  std::optional<AbortReason> reason() const;
  // That, once the handler was told of it: by look(), by its token or by a callback.
  std::optional<AbortReason> told_reason() const;
  // From here on the handler is told of nothing. Was it told before? Takes no lock: a forked child may call it.
  bool end_telling();
  std::optional<Clock::time_point> deadline() const { return deadline_; }

  // Both start the thread. They throw std::system_error when that cannot be.
  std::stop_token token();
  void call(Callback callback);
  // Joins the thread. Nothing is called any more. REQUIRES: not by a forked child, which has no such thread.
  void end();

 private:
  enum class Telling { open, told, closed };

  std::optional<AbortReason> find() const;
  bool has_reason();
  bool may_tell();
  void start();
  void watch();
  void tell();
  void wake() const;
  void wait() const;

  JobGiver& giver_;
  const std::int64_t job_id_;
  std::optional<Clock::time_point> deadline_;
  std::atomic<int> reason_;  // an AbortReason, or none
  std::atomic<Telling> telling_{Telling::open};
  std::mutex mutex_;  // of the giver's stop_wish(), and of the callbacks
  std::vector<Callback> callbacks_;
  bool has_told_ = false;
  std::stop_source source_{std::nostopstate};
  std::atomic<bool> has_ended_{false};
  int event_ = -1;
  std::thread thread_;
};

}  // namespace libtask::detail

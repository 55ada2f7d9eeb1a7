// Where a job came from and what it tells goes: the sub-worker behind the channel, or a person at a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "libtask/options.h"
#include "libtask/wire/frame.h"

namespace libtask::detail {

class JobGiver {
 public:
  virtual ~JobGiver() = default;
  // Whether the giver has asked for this job to stop. Never blocks. By one thread at a time.
  virtual std::optional<AbortReason> stop_wish(std::int64_t job_id) = 0;
  // A descriptor that is readable when stop_wish() may have something new; -1 = there is none.
  virtual int stop_descriptor() const = 0;
  // So often somebody has to look who waits for a stop: what the giver has new, no descriptor tells. Nothing = it does.
  virtual std::optional<std::chrono::milliseconds> look_interval() const { return std::nullopt; }
  // Never blocks; progress that cannot be sent at once is dropped.
  virtual void tell_progress(const wire::Progress& progress) = 0;
  // The result of a job that has succeeded.
  virtual void tell_value(const wire::Value& value) = 0;
  virtual void log(const wire::Log& line) = 0;
  // The clock by which the job's time passes. By any thread.
  virtual std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }
  virtual std::chrono::system_clock::time_point system_now() { return std::chrono::system_clock::now(); }
};

}  // namespace libtask::detail

// One job while its handler runs: what Context shows of it and what it collects.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "libtask/task.h"
#include "libtask/wire/frame.h"
#include "registry.h"

namespace libtask::detail {

// Where the job came from and its progress goes: the sub-worker behind the channel, or a person at a
// terminal.
class JobGiver {
 public:
  virtual ~JobGiver() = default;
  // Whether the giver has asked for this job to stop. Never blocks.
  virtual std::optional<AbortReason> stop_wish(std::int64_t job_id) = 0;
  // Never blocks; progress that cannot be sent at once is dropped.
  virtual void tell_progress(const wire::Progress& progress) = 0;
  // The clock by which the job's time passes.
  virtual std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }
  // The result of a job that has succeeded.
  virtual void tell_value(const wire::Value& value) = 0;
};

// The job that `options` make of a task: what they leave out is as the task was registered. Throws what
// Context::defer() throws for an empty name or a negative delay.
wire::DeferredJob deferred_job(const Registry& registry, std::string_view task, const Args& args,
                               const DeferOptions& options);

class RunningJob {
 public:
  using Clock = std::chrono::steady_clock;

  RunningJob(const wire::Run& run, const Registry& registry, JobGiver& giver);

  const wire::Run& run() const { return run_; }
  bool should_abort();
  std::optional<AbortReason> abort_reason() const { return abort_reason_; }
  std::optional<std::chrono::milliseconds> time_left() const;
  const std::string& meta() const;
  void progress(std::uint64_t done, std::uint64_t total, std::string_view note);
  void tell_untold_progress();
  void result(const Value& value);
  // REQUIRES: the job has succeeded.
  void tell_result();
  void defer(std::string_view task, const Args& args, const DeferOptions& options);
  std::vector<wire::DeferredJob> take_deferred() { return std::move(deferred_); }

 private:
  std::optional<AbortReason> look_for_abort_reason();

  const wire::Run& run_;
  const Registry& registry_;
  JobGiver& giver_;
  std::optional<Clock::time_point> deadline_;
  std::optional<AbortReason> abort_reason_;  // the first one found stays
  std::optional<wire::Progress> untold_;
  Clock::time_point next_progress_;
  std::optional<std::string> result_;  // JSON text
  std::vector<wire::DeferredJob> deferred_;
  std::size_t deferred_bytes_ = 0;
};

}  // namespace libtask::detail

// One job while its handler runs: what Context shows of it and what it collects.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "abort_signs.h"
#include "job_giver.h"
#include "libtask/task.h"
#include "libtask/wire/frame.h"
#include "registry.h"

namespace libtask::detail {

// The job that `options` make of a task: what they leave out is as the task was registered. Throws what
// Context::defer() throws for an empty name or a negative delay.
wire::DeferredJob deferred_job(const Registry& registry, std::string_view task, const Args& args,
                               const DeferOptions& options);

// Throws what Context::defer() of such a job throws.
DeferOptions options_of(const NewJob& job);

// What the handler asks for, if a job can have that. Throws what Context::retry_in() throws.
Retry possible(Retry retry);

class RunningJob {
 public:
  using Clock = std::chrono::steady_clock;

  RunningJob(const wire::Run& run, const Registry& registry, JobGiver& giver);

  const wire::Run& run() const { return run_; }
  AbortSigns& abort_signs() { return abort_signs_; }
  const AbortSigns& abort_signs() const { return abort_signs_; }
  bool should_abort();
  void will_finish();
  Clock::time_point now() { return giver_.now(); }
  std::chrono::system_clock::time_point system_now() { return giver_.system_now(); }
  const std::string& meta() const;
  void progress(std::uint64_t done, std::uint64_t total, std::string_view note);
  void tell_untold_progress();
  void result(const Value& value);
  // REQUIRES: the job has succeeded.
  void tell_result();
  void log(LogLevel level, std::string_view text, const Args& fields);
  void defer(std::string_view task, const Args& args, const DeferOptions& options);
  std::vector<wire::DeferredJob> take_deferred() { return std::move(deferred_); }

 private:
  void send_progress();

  const wire::Run& run_;
  const Registry& registry_;
  JobGiver& giver_;
  AbortSigns abort_signs_;
  // Of untold_ and next_progress_, and of what is sent: frames of two threads must not mingle.
  std::mutex telling_;
  std::optional<wire::Progress> untold_;
  Clock::time_point next_progress_;
  std::optional<std::string> result_;  // JSON text
  std::vector<wire::DeferredJob> deferred_;
  std::size_t deferred_bytes_ = 0;
};

}  // namespace libtask::detail

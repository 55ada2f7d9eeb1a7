#include "subworker/worker/builtin_task.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "sql/error.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::ResultStatus;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kRemoveOldJobs = "procrastinate.builtin_tasks.remove_old_jobs";
constexpr std::string_view kPrefix = "builtin:";

// Thrown out of the wait for the database.
struct Stopped {
  StopReason reason;
};

[[noreturn]] void refuse_argument(std::string_view name, std::string_view expected) {
  throw std::invalid_argument(fmt::format("argument \"{}\" of remove_old_jobs {}", name, expected));
}

void read_argument(std::string_view name, const json& value, sql::PurgeOptions& options) {
  struct Also {
    std::string_view argument;
    sql::JobStatus status;
  };
  constexpr std::array<Also, 3> kAlso = {{{"remove_failed", sql::JobStatus::failed},
                                          {"remove_cancelled", sql::JobStatus::cancelled},
                                          {"remove_aborted", sql::JobStatus::aborted}}};
  for (const Also& also : kAlso) {
    if (also.argument != name) continue;
    if (!value.is_boolean() && !value.is_null()) refuse_argument(name, "must be true or false");
    if (value.is_boolean() && value.get<bool>()) options.statuses.push_back(also.status);
    return;
  }
  if (name == "max_hours") {
    const bool is_possible =
        value.is_number() && value.get<double>() >= 0 && std::isfinite(value.get<double>());
    if (!is_possible) refuse_argument(name, "must be a number of hours, from 0 up");
    options.older_than = std::chrono::hours(1) * std::min(value.get<double>(), 24 * 36'525.0);
  } else if (name == "queue") {
    if (!value.is_string() && !value.is_null()) refuse_argument(name, "must be the name of a queue");
    if (value.is_string()) options.queue = value.get<std::string>();
  } else if (name != "timestamp") {  // which schedules add
    refuse_argument(name,
                    "is unknown; it takes max_hours, queue, remove_failed, remove_cancelled, remove_aborted");
  }
}

class BuiltinRun {
 public:
  BuiltinRun(std::chrono::milliseconds time_limit, const RunHooks& hooks)
      : time_limit_(time_limit), hooks_(hooks) {}

  Clock::duration elapsed() const { return Clock::now() - began_; }

  // Throws Stopped.
  void tick() {
    const auto stop = hooks_.on_tick(elapsed());
    if (stop) throw Stopped{stop->reason};
    if (time_limit_ > 0ms && elapsed() > time_limit_) throw Stopped{StopReason::time_limit};
  }

  void remove_old_jobs(const sql::Job& job, const config::Database& database) {
    sql::ConnectOptions options;
    options.url = database.url;
    options.application_name = "postpone remove_old_jobs";
    options.connect_timeout = database.connect_timeout;
    options.statement_timeout = database.statement_timeout;
    options.on_tick = [this] { tick(); };
    sql::Purge purge = sql::Purge::begin(options, remove_old_jobs_options(job.args));
    constexpr std::uint64_t kSteps = 1000;
    do {
      tick();
      hooks_.on_progress(
          {.done = static_cast<std::uint64_t>(purge.done() * kSteps), .total = kSteps, .note = ""});
    } while (purge.step());
    std::int64_t removed = 0;
    for (const auto& [status, count] : purge.deleted()) removed += count;
    sys::log.info("removed {} old job(s)", removed);
  }

 private:
  const std::chrono::milliseconds time_limit_;
  const RunHooks& hooks_;
  const Clock::time_point began_ = Clock::now();
};

}  // namespace

std::optional<libtask::wire::TaskDescription> builtin_task(const std::string& name) {
  std::string_view bare = name;
  if (bare.starts_with(kPrefix)) bare.remove_prefix(kPrefix.size());
  if (bare != kRemoveOldJobs) return std::nullopt;
  libtask::wire::TaskDescription task;
  task.name = name;
  task.queue = "builtin";
  task.retry = libtask::wire::RetryStrategy{.max_attempts = 3, .wait = 1min};  // the database may be away
  return task;
}

sql::PurgeOptions remove_old_jobs_options(const std::string& args) {
  const json arguments = json::parse(args, nullptr, false);
  if (!arguments.is_object())
    throw std::invalid_argument("the arguments of remove_old_jobs are no JSON object");
  sql::PurgeOptions options;
  options.statuses = {sql::JobStatus::succeeded};
  if (!arguments.contains("max_hours"))
    refuse_argument("max_hours", "is missing: expected a number of hours");
  for (const auto& [name, value] : arguments.items()) read_argument(name, value, options);
  return options;
}

Execution run_builtin(const sql::Job& job, const config::Database& database,
                      std::chrono::milliseconds time_limit, const RunHooks& hooks) {
  Execution execution;
  libtask::wire::Result result;
  result.job_id = job.id;
  BuiltinRun run(time_limit, hooks);
  try {
    run.remove_old_jobs(job, database);
  } catch (const std::invalid_argument& error) {
    result.status = ResultStatus::bad_arguments;
    result.message = error.what();
  } catch (const Stopped& stopped) {
    result.status = ResultStatus::aborted;
    execution.stop = stopped.reason;
  } catch (const sql::DatabaseError& error) {
    result.status = ResultStatus::exception;
    result.message = error.what();
  }
  execution.end = Returned{std::move(result)};
  execution.run_time = run.elapsed();
  return execution;
}

}  // namespace postpone::subworker

#include "subworker/task/ending.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <utility>
#include <vector>

#include "subworker/task/outcome.h"
#include "sys/human.h"
#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

// What becomes of the job; empty where the cause says it all.
std::string what_next(const sql::Outcome& outcome) {
  if (outcome.action == sql::Action::fail) return ", failed for good";
  if (outcome.action != sql::Action::retry) return "";
  if (outcome.retry_in.count() <= 0) return ", retry at once";
  return ", retry in " + sys::human_duration(outcome.retry_in);
}

const char* ending_of(sql::Action action) {
  switch (action) {
    case sql::Action::succeed:
      return "succeeded";
    case sql::Action::abort:
      return "aborted";
    case sql::Action::retry:
      return "retried";
    case sql::Action::fail:
    case sql::Action::release:
      break;
  }
  return "failed";
}

// UTC, as the time of a line.
std::string time_after(sql::Seconds wait) {
  using namespace std::chrono;
  const auto at = system_clock::now() + duration_cast<milliseconds>(wait);
  const auto ms = duration_cast<milliseconds>(at.time_since_epoch()).count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(system_clock::to_time_t(at)), ms);
}

std::vector<sys::LogField> fields_of(const sql::Job& job, const sql::Outcome& outcome) {
  std::vector<sys::LogField> fields = {{"event", "job_ended"},
                                       {"ending", ending_of(outcome.action)},
                                       {"cause", std::string(sql::to_string(outcome.cause))},
                                       {"queue", job.queue},
                                       {"run_time_s", outcome.run_time.count()},
                                       {"cpu_s", outcome.cpu_time.count()}};
  if (!outcome.exception_type.empty()) fields.push_back({"exception_type", outcome.exception_type});
  if (outcome.action == sql::Action::retry) {
    fields.push_back({"retry_in_s", outcome.retry_in.count()});
    fields.push_back({"next_attempt_at", time_after(outcome.retry_in)});
  }
  return fields;
}

}  // namespace

std::string describe_ending(const sql::Outcome& outcome) {
  const std::string why = explain(outcome);
  return fmt::format("{} in {}, attempt {}{}{}{}", sql::to_string(outcome.cause),
                     sys::human_duration(outcome.run_time), outcome.attempt, what_next(outcome),
                     why.empty() ? "" : ": ", why);
}

void log_ending(const sql::Job& job, const sql::Outcome& outcome) {
  auto& log = sys::log_of(sys::Component::job);
  if (outcome.action == sql::Action::release)
    return log.warn("given back before it began: the lease is out of sight");
  const auto level = outcome.action == sql::Action::succeed ? sys::Level::info : sys::Level::warning;
  if (!log.should_log(level)) return;
  const sys::LogFields fields(fields_of(job, outcome));
  log.log(level, "{}", describe_ending(outcome));
}

}  // namespace postpone::subworker

#include "cli/job_json.h"

#include <iostream>

#include "cli/timestamp.h"

namespace postpone::cli {
namespace {

template <typename Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json to_json(const sql::Job& job) {
  return {{"id", job.id},
          {"task", job.task},
          {"queue", job.queue},
          {"status", sql::to_string(job.status)},
          {"priority", job.priority},
          {"attempts", job.attempts},
          {"lock", or_null(job.lock)},
          {"queueing_lock", or_null(job.queueing_lock)},
          {"args", Json::parse(job.args, nullptr, false)},
          {"scheduled_at", job.scheduled_at ? Json(to_iso(*job.scheduled_at)) : Json(nullptr)},
          {"abort_requested", job.abort_requested},
          {"worker_id", or_null(job.worker_id)}};
}

Json to_json(const sql::Event& event) {
  return {{"type", event.type}, {"at", to_iso(event.at)}};
}

Json to_json(const sql::Attempt& attempt) {
  return {{"attempt", attempt.attempt},
          {"cause", sql::to_string(attempt.cause)},
          {"exception_type", or_null(attempt.exception_type)},
          {"message", or_null(attempt.message)},
          {"signal", or_null(attempt.signal)},
          {"exit_status", or_null(attempt.exit_status)},
          {"stderr_tail", or_null(attempt.stderr_tail)},
          {"run_time_s", attempt.run_time.count()},
          {"cpu_time_s", attempt.cpu_time.count()},
          {"max_rss_bytes", attempt.max_rss_bytes},
          {"worker_id", or_null(attempt.worker_id)},
          {"worker_name", or_null(attempt.worker_name)},
          {"ended_at", to_iso(attempt.ended_at)}};
}

void print(const Json& json) {
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace postpone::cli

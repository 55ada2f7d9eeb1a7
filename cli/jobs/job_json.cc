#include "cli/jobs/job_json.h"

#include <cmath>
#include <iostream>

#include "cli/text/timestamp.h"

namespace postpone::cli {
namespace {

// to_text() prints a string that begins with NUL as it is, as a piece of JSON. No text of the database holds
// a NUL; and in the dumped text no other string begins like this one, since a quote within a string follows a
// backslash.
constexpr char kVerbatim = '\0';
constexpr std::string_view kVerbatimBegin = R"("\u0000)";

Json verbatim(const std::string& json) {
  return kVerbatim + json;
}

// The end of the JSON string that begins at `begin`.
std::size_t end_of_string(const std::string& text, std::size_t begin) {
  std::size_t at = begin + 1;
  while (text[at] != '"') at += text[at] == '\\' ? 2 : 1;
  return at + 1;
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
          {"args", verbatim(job.args)},
          {"meta", job.meta ? verbatim(*job.meta) : Json(nullptr)},
          {"deferred_by", or_null(job.deferred_by)},
          {"scheduled_at", or_null(job.scheduled_at)},
          {"abort_requested", job.abort_requested},
          {"worker_id", or_null(job.worker_id)}};
}

Json to_json(const sql::Progress& progress) {
  return {{"done", progress.done}, {"total", progress.total}, {"note", or_null(progress.note)}};
}

Json to_json(const sql::GivenResult& given) {
  return {{"result", given.result ? verbatim(*given.result) : Json(nullptr)},
          {"progress", given.progress ? to_json(*given.progress) : Json(nullptr)},
          {"at", to_iso(given.at)}};
}

Json to_json(const sql::Event& event) {
  return {{"type", or_null(event.type)}, {"at", or_null(event.at)}};
}

Json to_json(const sql::Attempt& attempt) {
  return {{"attempt", attempt.attempt},
          {"cause", sql::to_string(attempt.cause)},
          {"exception_type", or_null(attempt.exception_type)},
          {"message", or_null(attempt.message)},
          {"signal", or_null(attempt.signal)},
          {"exit_status", or_null(attempt.exit_status)},
          {"stderr_tail", or_null(attempt.stderr_tail)},
          {"run_time_s", or_null(attempt.run_time)},
          {"cpu_time_s", or_null(attempt.cpu_time)},
          {"max_rss_bytes", or_null(attempt.max_rss_bytes)},
          {"worker_id", or_null(attempt.worker_id)},
          {"worker_name", or_null(attempt.worker_name)},
          {"ended_at", to_iso(attempt.ended_at)}};
}

Json or_null(const std::optional<sql::DatabaseTime>& time) {
  return time ? Json(to_iso(*time)) : Json(nullptr);
}

Json or_null(const std::optional<sql::Seconds>& duration) {
  return duration && std::isfinite(duration->count()) ? Json(duration->count()) : Json(nullptr);
}

Json to_json(const sql::Lease& lease) {
  return {{"worker_id", lease.id},
          {"foreign", lease.foreign},
          {"worker_name", or_null(lease.name)},
          {"host", or_null(lease.host)},
          {"supervisor", or_null(lease.supervisor)},
          {"pid", lease.foreign ? Json(nullptr) : Json(lease.pid)},
          {"registered_at", or_null(lease.registered_at)},
          {"last_heartbeat", to_iso(lease.last_heartbeat)},
          {"silent_s", or_null(std::optional(lease.silent_for))}};
}

Json to_json(const sql::DoingJob& run) {
  return {{"id", run.job_id},
          {"task", run.task},
          {"queue", run.queue},
          {"lock", or_null(run.lock)},
          {"attempt", run.attempt},
          {"started_at", or_null(run.started_at)},
          {"running_s", or_null(run.running_for)}};
}

// Dumps, then puts the verbatim pieces in their places.
std::string to_text(const Json& json) {
  const std::string dumped = json.dump(2, ' ', false, Json::error_handler_t::replace);
  std::string text;
  std::size_t done = 0;
  for (std::size_t begin = 0; (begin = dumped.find(kVerbatimBegin, done)) != std::string::npos;) {
    const std::size_t end = end_of_string(dumped, begin);
    text.append(dumped, done, begin - done);
    text += Json::parse(dumped.substr(begin, end - begin)).get<std::string>().substr(1);
    done = end;
  }
  return text.append(dumped, done) + '\n';
}

void print(const Json& json) {
  std::cout << to_text(json);
}

}  // namespace postpone::cli

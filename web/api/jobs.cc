// Jobs as JSON.
#include <string>

#include "web/api/json.h"
#include "web/page.h"
#include "web/search.h"

namespace postpone::web {
namespace {

void write_event(JsonWriter& json, const sql::Event& event) {
  json.object([&] {
    json.field("type", event.type);
    json.field("at", event.at);
  });
}

void write_attempt(JsonWriter& json, const sql::Attempt& attempt) {
  json.object([&] {
    json.field("attempt", attempt.attempt);
    json.field("cause", sql::to_string(attempt.cause));
    json.text_field("exception_type", attempt.exception_type);
    json.text_field("message", attempt.message);
    json.field("signal", attempt.signal);
    json.field("exit_status", attempt.exit_status);
    json.text_field("stderr_tail", attempt.stderr_tail);
    json.field("run_time_s", attempt.run_time);
    json.field("cpu_time_s", attempt.cpu_time);
    json.field("max_rss_bytes", attempt.max_rss_bytes);
    json.field("worker_id", attempt.worker_id);
    json.text_field("worker_name", attempt.worker_name);
    json.field("ended_at", attempt.ended_at);
  });
}

void write_page(JsonWriter& json, const sql::JobPage& page) {
  write_reading(json, page.reading);
  json.key("job");
  write(json, page.job);
  json.raw_field("meta", page.meta);
  json.raw_field("result", page.result);
  json.field("hides_arguments", page.hides_arguments);
  json.field("abort_requested", page.abort_requested);
  json.field("deferred_by", page.deferred_by);
  json.field("schedule", page.schedule);
  json.field("started_at", page.started_at);
  json.field("ended_at", page.ended_at);
  json.text_field("waits_for", page.waits_for);
  json.key("progress");
  write(json, page.progress);
  json.key("worker");
  write(json, page.lease);
  json.array_field("events", page.events, [&](const sql::Event& event) { write_event(json, event); });
  json.array_field("attempts", page.attempts,
                   [&](const sql::Attempt& attempt) { write_attempt(json, attempt); });
  json.key("holder");
  write(json, page.holder);
  json.array_field("line", page.line, [&](const sql::InLine& job) { write(json, job); });
  json.field("ahead_in_queue", page.ahead_in_queue);
}

}  // namespace

Json jobs_json(const Visit& visit) {
  const Search search = parse_search(visit.query, visit.fleet.hides_arguments());
  if (!search.faults.empty())
    return {json_object([&](JsonWriter& json) {
              json.field("error", "the search has no \"" + search.faults[0] + "\"");
            }),
            400};
  const sql::JobsPage page = visit.fleet.jobs(search.jobs);
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    json.array_field("jobs", page.jobs, [&](const sql::FleetJob& job) { write(json, job); });
    json.field("has_older", page.has_older);
    json.field("has_newer", page.has_newer);
    json.field("searched_to", page.searched_to);
    json.field("searched_up_to", page.searched_up_to);
  })};
}

Json job_json(const Visit& visit) {
  const auto page = visit.fleet.job(visit.id);
  if (!page)
    return {json_object([&](JsonWriter& json) {
              json.field("error", "there is no job " + std::to_string(visit.id));
            }),
            404};
  return {json_object([&](JsonWriter& json) { write_page(json, *page); })};
}

}  // namespace postpone::web

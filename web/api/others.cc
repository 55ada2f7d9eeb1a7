// All pages but those of jobs, as JSON.
#include <string>

#include "web/api/json.h"
#include "web/page.h"
#include "web/ticks.h"

namespace postpone::web {
namespace {

void write_minute(JsonWriter& json, const sql::Minute& minute) {
  json.object([&] {
    json.field("minute", minute.minute);
    json.field("succeeded", minute.succeeded);
    json.field("failed", minute.failed);
    json.field("retried", minute.retried);
    json.field("aborted", minute.aborted);
  });
}

void write_running(JsonWriter& json, const sql::RunningJobNow& running) {
  json.object([&] {
    json.key("job");
    write(json, running.job);
    json.field("started_at", running.started_at);
    json.key("progress");
    write(json, running.progress);
    json.text_field("host", running.host);
  });
}

void write_group(JsonWriter& json, const sql::FailureGroup& group) {
  json.object([&] {
    json.field("task", group.task);
    json.field("cause", group.cause);
    json.text_field("detail", group.detail);
    json.text_field("message", group.message);
    json.text_field("stderr_tail", group.stderr_tail);
    json.field("attempts", group.attempts);
    json.field("failed_jobs", group.failed_jobs);
    json.field("latest_job", group.latest_job);
    json.field("first", group.first);
    json.field("last", group.last);
  });
}

void write_queue(JsonWriter& json, const sql::QueueLine& queue) {
  json.object([&] {
    json.field("queue", queue.name);
    json.field("ready", queue.ready);
    json.field("scheduled", queue.scheduled);
    json.field("locked", queue.locked);
    json.field("running", queue.running);
    json.field("workers", queue.workers);
    json.field("next", queue.next);
    json.field("next_waits_s", queue.next_waits);
  });
}

void write_task(JsonWriter& json, const sql::TaskLine& task) {
  json.object([&] {
    json.field("task", task.name);
    json.field("waiting", task.waiting);
    json.field("running", task.running);
    json.field("attempts", task.attempts);
    json.field("ended_badly", task.ended_badly);
    json.field("median_s", task.median);
    json.field("p95_s", task.slow);
    json.field("max_rss_bytes", task.memory);
  });
}

void write_lock(JsonWriter& json, const sql::LockLine& lock) {
  json.object([&] {
    json.field("lock", lock.lock);
    json.key("holder");
    write(json, lock.holder);
    json.text_field("holder_worker", lock.holder_worker);
    json.field("held_s", lock.held_for);
    json.field("waiting", lock.waiting);
    json.key("next");
    write(json, lock.next);
  });
}

void write_schedule(JsonWriter& json, const sql::FleetSchedule& schedule, sql::DatabaseTime now) {
  json.object([&] {
    json.field("task", schedule.task);
    json.field("id", schedule.id);
    json.field("cron", schedule.cron);
    json.field("zone", schedule.zone);
    json.field("queue", schedule.queue);
    json.field("last_tick", schedule.last_tick);
    json.field("last_job_id", schedule.last_job);
    json.field("next_tick", next_tick(schedule, now));
    json.field("paused_at", schedule.paused_at);
    json.field("served", is_served(schedule));
    json.field("supervisor", schedule.served_by);
  });
}

void write_run(JsonWriter& json, const sql::DoingJob& run) {
  json.object([&] {
    json.field("id", run.job_id);
    json.field("task", run.task);
    json.field("queue", run.queue);
    json.field("lock", run.lock);
    json.field("attempt", run.attempt);
    json.field("started_at", run.started_at);
    json.field("running_s", run.running_for);
  });
}

void write_worker(JsonWriter& json, const sql::WorkerState& worker, const std::vector<std::string>& queues) {
  json.object([&] {
    json.key("worker");
    write(json, std::optional(worker.lease));
    json.array_field("queues", queues, [&](const std::string& queue) { json.value(queue); });
    json.array_field("runs", worker.runs, [&](const sql::DoingJob& run) { write_run(json, run); });
  });
}

}  // namespace

Json overview_json(const Visit& visit) {
  const sql::FleetFigures figures = visit.fleet.figures();
  return {json_object([&](JsonWriter& json) {
    write_reading(json, figures.reading);
    json.field("ready", figures.ready);
    json.field("scheduled", figures.scheduled);
    json.field("locked", figures.locked);
    json.field("running", figures.running);
    json.field("all_jobs_estimate", figures.all_jobs);
    json.field("next_due", figures.next_due);
    json.field("minutes_from", figures.minutes_from);
    json.array_field("minutes", figures.minutes,
                     [&](const sql::Minute& minute) { write_minute(json, minute); });
    json.array_field("longest", figures.longest,
                     [&](const sql::RunningJobNow& running) { write_running(json, running); });
  })};
}

Json failures_json(const Visit& visit) {
  const sql::FailuresPage page = visit.fleet.failures(visit.query.id("before"));
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    json.field("from", page.from);
    json.field("older_from", page.older_from);
    json.array_field("groups", page.groups,
                     [&](const sql::FailureGroup& group) { write_group(json, group); });
  })};
}

Json queues_json(const Visit& visit) {
  const sql::QueuesPage page = visit.fleet.queues();
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    json.field("is_more", page.is_more);
    json.field("foreign_workers", page.foreign_workers);
    json.array_field("queues", page.queues, [&](const sql::QueueLine& queue) { write_queue(json, queue); });
  })};
}

Json tasks_json(const Visit& visit) {
  const sql::TasksPage page = visit.fleet.tasks();
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    json.field("looked_at", page.looked_at);
    json.array_field("tasks", page.tasks, [&](const sql::TaskLine& task) { write_task(json, task); });
  })};
}

Json locks_json(const Visit& visit) {
  const std::string lock = visit.query.get("lock");
  const sql::LocksPage page = visit.fleet.locks(lock.empty() ? std::nullopt : std::optional(lock), 200);
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    json.field("is_more", page.is_more);
    json.array_field("locks", page.locks, [&](const sql::LockLine& one) { write_lock(json, one); });
    json.array_field("line", page.line, [&](const sql::InLine& job) { write(json, job); });
  })};
}

Json schedules_json(const Visit& visit) {
  const sql::SchedulesPage page = visit.fleet.schedules();
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    json.array_field("schedules", page.schedules, [&](const sql::FleetSchedule& schedule) {
      write_schedule(json, schedule, page.reading.now);
    });
  })};
}

Json workers_json(const Visit& visit) {
  const sql::WorkersPage page = visit.fleet.workers();
  return {json_object([&](JsonWriter& json) {
    write_reading(json, page.reading);
    std::size_t at = 0;
    json.array_field("workers", page.workers, [&](const sql::WorkerState& worker) {
      write_worker(json, worker, page.queues.at(at++));
    });
    json.array_field("orphans", page.orphans, [&](const sql::DoingJob& run) { write_run(json, run); });
  })};
}

}  // namespace postpone::web

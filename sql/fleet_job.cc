// One job: its row, its events and attempts, and who stands before it.
#include <utility>

#include "sql/fleet_impl.h"
#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

constexpr int kLineShown = 10;

// The view knows most of it (sql/functions/jobs_view.sql).
Statement page_statement(JobId id, bool hide_arguments) {
  return {
      "select " + job_line_columns(hide_arguments ? ArgumentsRead::none : ArgumentsRead::all) + ", " +
          (hide_arguments ? "null" : "j.meta::text") +
          ", j.abort_requested, j.deferred_by, (select p.periodic_id from procrastinate_periodic_defers p"
          " where p.job_id = j.id limit 1), " +
          microseconds_of("v.started_at") + ", " + microseconds_of("v.ended_at") +
          ", coalesce(v.waits_for, ''), " + (hide_arguments ? "null" : "v.result::text") +
          ", g.progress_done, coalesce(g.progress_total, 0), coalesce(g.progress_note, ''), " +
          microseconds_of("g.updated_at") + ", " + lease_columns() +
          " from (select j.* from procrastinate_jobs j where j.id = $1::bigint) j"
          " cross join lateral (select v.* from postpone_jobs v where v.id = j.id limit 1) v" +
          job_line_joins() +
          " left join lateral (select g.* from postpone_results g where g.job_id = j.id"
          "   and (g.attempt > j.attempts or g.attempt = j.attempts and j.status not in ('todo', 'doing'))"
          "   limit 1) g on true"
          " left join lateral (select w.* from procrastinate_workers w where w.id = coalesce(j.worker_id,"
          "   (select c.worker_id from postpone_claims c where c.job_id = j.id)) limit 1) w on true",
      {to_parameter(id)}};
}

JobPage page_of(const Row& row) {
  constexpr int kMore = kJobLineColumns;
  JobPage page;
  page.job = job_line_of(row);
  page.meta = meta_of(row, kMore);
  page.abort_requested = row.get<bool>(kMore + 1);
  page.deferred_by = row.get<std::optional<JobId>>(kMore + 2);
  page.schedule = row.get<std::optional<std::string>>(kMore + 3);
  page.started_at = row.get<std::optional<DatabaseTime>>(kMore + 4);
  page.ended_at = row.get<std::optional<DatabaseTime>>(kMore + 5);
  page.waits_for = row.get<std::string>(kMore + 6);
  page.result = row.get<std::optional<std::string>>(kMore + 7);
  if (!row.is_null(kMore + 8)) {
    page.progress = Progress{static_cast<std::uint64_t>(row.get<std::int64_t>(kMore + 8)),
                             static_cast<std::uint64_t>(row.get<std::int64_t>(kMore + 9)),
                             row.get<std::string>(kMore + 10)};
    page.progress_at = row.get<std::optional<DatabaseTime>>(kMore + 11);
  }
  const bool runs = page.job.state == State::running || page.job.state == State::stalled;
  if (runs && !row.is_null(kMore + 12)) page.lease = lease_of(row, kMore + 12);
  return page;
}

// Its events first, by their index, then in order: the planner must not look for them from the newest of all events on.
Statement events_statement(JobId id) {
  return {"select type, " + microseconds_of("at") +
              " from (select e.* from procrastinate_events e where e.job_id = $1::bigint offset 0) e"
              " order by id desc limit 200",
          {to_parameter(id)}};
}

Event event_of(const Row& row) {
  return {row.get<std::optional<std::string>>(0), row.get<std::optional<DatabaseTime>>(1)};
}

// The newest 50: a job may be tried for ever.
Statement attempts_statement(JobId id) {
  return {
      "select a.job_id, a.attempt, a.cause, coalesce(a.exception_type, ''), coalesce(a.message, ''), "
      "a.signal,"
      " a.exit_status, coalesce(a.stderr_tail, ''), a.run_time, a.cpu_time, a.max_rss, a.worker_id,"
      " coalesce(a.worker_name, ''), " +
          microseconds_of("a.ended_at") +
          " from postpone_attempts a where a.job_id = $1::bigint order by a.attempt desc limit 50",
      {to_parameter(id)}};
}

// Of the lock of a job that waits or runs: who holds it, then the first few that wait.
Statement line_statement(JobId id) {
  const std::string of_lock =
      " from procrastinate_jobs j where j.lock = (select own.lock from procrastinate_jobs own where own.id = "
      "$1::bigint)"
      " and ";
  return {"(select " + in_line_columns("j") + ", true" + of_lock +
              "j.status = 'doing' limit 1) union all (select " + in_line_columns("j") + ", false" + of_lock +
              "j.status = 'todo' order by j.priority desc, j.id limit " + std::to_string(kLineShown) + ")",
          {to_parameter(id)}};
}

// Of its queue, those that a fetch takes first.
Statement ahead_statement(JobId id) {
  return {
      "select " +
          bounded(
              "from (select j.* from procrastinate_jobs j where j.id = $1::bigint and j.status = 'todo') j"
              " cross join lateral (select b.id from procrastinate_jobs b where b.status = 'todo'"
              "   and b.parked is null and b.queue_name = j.queue_name"
              "   and (-b.priority::bigint, b.id) < (-j.priority::bigint, j.id)"
              "   and (b.scheduled_at is null or b.scheduled_at <= now())"
              "   order by b.queue_name, (-b.priority::bigint), b.id limit " +
              std::to_string(kMostCounted + 1) + ") b"),
      {to_parameter(id)}};
}

}  // namespace

std::optional<JobPage> Fleet::job(JobId id) {
  const std::vector<Result> results =
      impl_->read({page_statement(id, impl_->hide_arguments), events_statement(id), attempts_statement(id),
                   line_statement(id), ahead_statement(id)});
  if (results[1].empty()) return std::nullopt;
  JobPage page = page_of(results[1].only());
  page.reading = reading_of(results[0].only());
  page.hides_arguments = impl_->hide_arguments;
  page.events = each(results[2], event_of);
  std::reverse(page.events.begin(), page.events.end());
  page.attempts = each(results[3], attempt_of);
  std::reverse(page.attempts.begin(), page.attempts.end());
  for (const Row row : results[4]) {
    if (row.get<bool>(4))
      page.holder = in_line_of(row, 0);
    else
      page.line.push_back(in_line_of(row, 0));
  }
  page.ahead_in_queue = results[5].only().get<std::int64_t>(0);
  return page;
}

}  // namespace postpone::sql

// The overview's figures, and the groups of failures: what the latest events say.
#include <algorithm>
#include <utility>

#include "sql/fleet_impl.h"

namespace postpone::sql {
namespace {

// Events are walked from the newest by their primary key. So many are read, whatever they say.
constexpr int kEventsOfTheHour = 20'000;
constexpr int kEventsOfFailures = 20'000;
constexpr int kMostFailures = 2'000;
constexpr int kMostGroups = 100;

constexpr const char* kDue = "(j.scheduled_at is null or j.scheduled_at <= now())";

Statement figures_statement() {
  return {
      "select " +
          bounded(std::string("from procrastinate_jobs j where status = 'todo' and parked is null and ") +
                  kDue + " order by (-priority::bigint), id") +
          ", " +
          bounded("from procrastinate_jobs where status = 'todo' and parked = 'time' and scheduled_at > now()"
                  " order by coalesce(scheduled_at, '-infinity') desc") +
          ", " +
          bounded("from procrastinate_jobs where status = 'todo' and parked is null and scheduled_at > now()"
                  " order by scheduled_at") +
          ", " + bounded("from procrastinate_jobs where status = 'todo' and parked = 'lock' order by lock") +
          ", " + bounded("from procrastinate_jobs where status = 'doing' order by lock") + ", " +
          bounded("from postpone_claims") +
          ", (select greatest(reltuples, 0)::bigint from pg_class where oid = "
          "'procrastinate_jobs'::regclass), " +
          microseconds_of(
              "least((select scheduled_at from procrastinate_jobs where status = 'todo'"
              " and parked = 'time' and coalesce(scheduled_at, '-infinity') > now()"
              " order by coalesce(scheduled_at, '-infinity') limit 1),"
              " (select scheduled_at from procrastinate_jobs where status = 'todo' and parked is null"
              " and scheduled_at > now() order by scheduled_at limit 1))") +
          ", not exists (select from procrastinate_jobs)",
      {}};
}

BoundedCount sum_of(const Row& row, int a, int b) {
  const std::int64_t count = row.get<std::int64_t>(a) + row.get<std::int64_t>(b);
  return {std::min(count, kMostCounted), count > kMostCounted};
}

void read_figures(const Row& row, FleetFigures& figures) {
  figures.ready = bounded_of(row, 0);
  figures.scheduled = sum_of(row, 1, 2);
  figures.locked = bounded_of(row, 3);
  figures.running = sum_of(row, 4, 5);
  figures.all_jobs = row.get<std::int64_t>(6);
  figures.next_due = row.get<std::optional<DatabaseTime>>(7);
  figures.is_empty = row.get<bool>(8);
}

Statement next_statement() {
  return {
      "select " + job_line_columns(ArgumentsRead::none) +
          " from (select j.* from procrastinate_jobs j where j.status = 'todo' and j.parked is null and " +
          kDue +
          " and not exists (select from postpone_claims c where c.job_id = j.id)"
          " order by (-j.priority::bigint), j.id limit 1) j" +
          job_line_joins(),
      {}};
}

// What is older than an hour is one row, for the number of its events.
Statement minutes_statement() {
  return {
      "select minute, succeeded, failed, retried, aborted, events, " + microseconds_of("first") +
          " from (select case when e.at > now() - interval '1 hour' and e.at <= now()"
          "  then floor(date_part('epoch', e.at) / 60)::bigint end as minute,"
          "  count(*) filter (where e.type = 'succeeded') as succeeded,"
          "  count(*) filter (where e.type = 'failed') as failed,"
          "  count(*) filter (where e.type = 'deferred_for_retry') as retried,"
          "  count(*) filter (where e.type = 'aborted') as aborted, count(*) as events, min(e.at) as first"
          " from (select e.type, e.at from procrastinate_events e order by e.id desc limit " +
          std::to_string(kEventsOfTheHour) + ") e group by 1) minutes order by 1",
      {}};
}

Minute minute_of(const Row& row) {
  return {row.get<std::int64_t>(0), row.get<std::int64_t>(1), row.get<std::int64_t>(2),
          row.get<std::int64_t>(3), row.get<std::int64_t>(4)};
}

// The events do not reach back for the whole hour when as many as were to be read lie within it.
void read_minutes(const Result& result, FleetFigures& figures) {
  std::int64_t events = 0;
  for (const Row row : result) {
    if (row.is_null(0)) continue;
    events += row.get<std::int64_t>(5);
    const auto first = row.get<std::optional<DatabaseTime>>(6);
    if (first && (!figures.minutes_from || *first < *figures.minutes_from)) figures.minutes_from = first;
    figures.minutes.push_back(minute_of(row));
  }
  if (events < kEventsOfTheHour) figures.minutes_from.reset();
}

// Of at most 1,000 jobs that run; each costs an index probe.
Statement longest_statement() {
  return {
      "with running as materialized ("
      " (select j.id, null::timestamptz as claimed_at from procrastinate_jobs j where j.status = 'doing'"
      "  order by j.lock limit 1000)"
      " union all (select c.job_id, c.claimed_at from postpone_claims c limit 1000)), longest as "
      "materialized ("
      " select r.id, coalesce(r.claimed_at, (select max(e.at) from procrastinate_events e"
      "   where e.job_id = r.id and e.job_id between r.id and r.id and e.type = 'started')) as started_at"
      " from running r order by started_at limit 5)"
      " select " +
          job_line_columns(ArgumentsRead::none) + ", " + microseconds_of("l.started_at") +
          ", g.progress_done, coalesce(g.progress_total, 0), coalesce(g.progress_note, ''),"
          " coalesce((select h.host from postpone_workers h where h.worker_id = coalesce(j.worker_id,"
          "  (select c.worker_id from postpone_claims c where c.job_id = j.id))), '')"
          " from longest l cross join lateral (select j.* from procrastinate_jobs j where j.id = l.id limit "
          "1) j" +
          job_line_joins() +
          " left join lateral (select g.* from postpone_results g where g.job_id = j.id and g.attempt > "
          "j.attempts"
          "   limit 1) g on true"
          " order by l.started_at nulls last",
      {}};
}

RunningJobNow running_of(const Row& row) {
  RunningJobNow running{job_line_of(row), row.get<std::optional<DatabaseTime>>(kJobLineColumns), std::nullopt,
                        row.get<std::string>(kJobLineColumns + 4)};
  if (!row.is_null(kJobLineColumns + 1))
    running.progress = Progress{static_cast<std::uint64_t>(row.get<std::int64_t>(kJobLineColumns + 1)),
                                static_cast<std::uint64_t>(row.get<std::int64_t>(kJobLineColumns + 2)),
                                row.get<std::string>(kJobLineColumns + 3)};
  return running;
}

// Messages are compared without their numbers, and by their beginnings.
Statement failures_statement(std::optional<std::int64_t> before) {
  return {
      "with latest as materialized ("
      " select e.id, e.job_id, e.type, e.at from procrastinate_events e where $1::bigint is null or e.id < "
      "$1::bigint"
      " order by e.id desc limit " +
          std::to_string(kEventsOfFailures) +
          "), bad as materialized (select b.job_id, min(b.at) as since from ("
          "  select job_id, at from latest where type in ('failed', 'deferred_for_retry') order by id desc "
          "limit " +
          std::to_string(kMostFailures) +
          ") b group by b.job_id), attempt as materialized ("
          " select a.*, j.task_name, j.status = 'failed' and a.attempt >= j.attempts as for_good,"
          "  left(regexp_replace(left(coalesce(a.message, ''), 500), '[0-9]+', '#', 'g'), 200) as pattern,"
          "  coalesce(a.exception_type, case when a.signal is not null then 'signal ' || a.signal"
          "   when a.exit_status is not null then 'status ' || a.exit_status end, '') as detail"
          " from bad cross join lateral (select a.* from postpone_attempts a where a.job_id = bad.job_id"
          "   order by a.attempt desc limit 20) a"
          " cross join lateral (select j.* from procrastinate_jobs j where j.id = bad.job_id limit 1) j"
          " where a.cause not in ('succeeded', 'aborted', 'finished_by_hand')"
          "  and a.ended_at >= bad.since)"
          " select task_name, cause::text, detail, (array_agg(message order by ended_at desc))[1],"
          "  left((array_agg(stderr_tail order by ended_at desc))[1], 8000), count(*),"
          "  count(distinct job_id) filter (where for_good), (array_agg(job_id order by ended_at "
          "desc))[1], " +
          microseconds_of("min(ended_at)") + ", " + microseconds_of("max(ended_at)") +
          ", coalesce(array_to_string((array_agg(distinct worker_name))[1:5], ', '), '')"
          " from attempt group by task_name, cause, detail, pattern order by count(*) desc, max(ended_at) "
          "desc limit " +
          std::to_string(kMostGroups),
      {to_parameter(before)}};
}

FailureGroup group_of(const Row& row) {
  FailureGroup group;
  group.task = row.get<std::string>(0);
  group.cause = row.get<std::string>(1);
  group.detail = row.get<std::string>(2);
  group.message = row.get<std::optional<std::string>>(3).value_or("");
  group.stderr_tail = row.get<std::optional<std::string>>(4).value_or("");
  group.attempts = row.get<std::int64_t>(5);
  group.failed_jobs = row.get<std::int64_t>(6);
  group.latest_job = row.get<JobId>(7);
  group.first = row.get<DatabaseTime>(8);
  group.last = row.get<DatabaseTime>(9);
  group.workers = row.get<std::string>(10);
  return group;
}

// Where the reading of events ended; a statement of its own, as there may be no group to say it.
Statement events_statement_from(std::optional<std::int64_t> before) {
  return {
      "select e.id, " + microseconds_of("e.at") +
          " from (select e.id, e.at from procrastinate_events e where $1::bigint is null or e.id < $1::bigint"
          " order by e.id desc offset " +
          std::to_string(kEventsOfFailures - 1) + " limit 1) e",
      {to_parameter(before)}};
}

}  // namespace

FleetFigures Fleet::figures() {
  const std::vector<Result> results =
      impl_->read({figures_statement(), next_statement(), minutes_statement(), longest_statement()});
  FleetFigures figures;
  figures.reading = reading_of(results[0].only());
  read_figures(results[1].only(), figures);
  if (!results[2].empty()) figures.next = job_line_of(results[2].only());
  read_minutes(results[3], figures);
  figures.longest = each(results[4], running_of);
  return figures;
}

FailuresPage Fleet::failures(std::optional<std::int64_t> before_event) {
  const std::vector<Result> results =
      impl_->read({failures_statement(before_event), events_statement_from(before_event)});
  FailuresPage page;
  page.reading = reading_of(results[0].only());
  page.groups = each(results[1], group_of);
  for (const FailureGroup& group : page.groups) page.attempts += group.attempts;
  if (!results[2].empty()) {
    const Row row = results[2].only();
    page.older_from = row.get<std::int64_t>(0);
    page.from = row.get<std::optional<DatabaseTime>>(1);
  }
  return page;
}

}  // namespace postpone::sql

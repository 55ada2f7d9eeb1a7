// Looking: what there is, and what became of it. Changes nothing.
#include <array>
#include <utility>

#include "sql/filter.h"
#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

// The status, abort_requested and worker_id are not among the columns of a fetch, which decides them.
std::string all_job_columns() {
  return job_columns("j") + ", j.status, j.abort_requested, j.worker_id, j.meta, j.deferred_by";
}

Job full_job_of(const Row& row) {
  Job job = job_of(row);
  job.status = status_of(row, kJobColumns);
  job.abort_requested = row.get<bool>(kJobColumns + 1);
  job.worker_id = row.get<std::optional<WorkerId>>(kJobColumns + 2);
  job.meta = meta_of(row, kJobColumns + 3);
  job.deferred_by = row.get<std::optional<JobId>>(kJobColumns + 4);
  return job;
}

}  // namespace

std::map<JobStatus, std::int64_t> JobManager::count(const JobFilter& filter) {
  Where where = where_of(filter);
  std::string sql =
      "select status, count(*) from procrastinate_jobs j" + where.take_sql() + " group by status";
  std::map<JobStatus, std::int64_t> counts;
  for (const Row row : impl_->connection.query(std::move(sql), where.take_parameters()))
    counts[status_of(row, 0)] += row.get<std::int64_t>(1);
  return counts;
}

std::vector<Job> JobManager::list(const JobFilter& filter) {
  Where where = where_of(filter);
  std::string sql =
      "select " + all_job_columns() + " from procrastinate_jobs j" + where.take_sql() + " order by j.id";
  if (filter.newest_first) sql += " desc";
  if (filter.limit) sql += " limit " + std::to_string(*filter.limit);
  std::vector<Statement> statements;
  // What is rare by the planner's statistics, or new to them, would be looked for in the whole table, and
  // then sorted; by id it is found as soon as the limit is, and jobs of interest are young.
  if (filter.limit) statements.push_back({"select set_config('enable_seqscan', 'off', true)", {}});
  statements.push_back({std::move(sql), where.take_parameters()});
  return each(impl_->connection.pipeline(statements).back(), full_job_of);
}

std::vector<Event> JobManager::events(JobId id) {
  const Result result = impl_->connection.query("select e.type, " + microseconds_of("e.at") +
                                                    " from procrastinate_events e"
                                                    " where e.job_id = $1::bigint order by e.id",
                                                {to_parameter(id)});
  return each(result, [](const Row& row) {
    return Event{row.get<std::optional<std::string>>(0), row.get<std::optional<DatabaseTime>>(1)};
  });
}

std::vector<Attempt> JobManager::attempts(JobId id) {
  const Result result = impl_->connection.query(
      "select a.job_id, a.attempt, a.cause, coalesce(a.exception_type, ''), coalesce(a.message, ''), "
      "a.signal,"
      " a.exit_status, coalesce(a.stderr_tail, ''), a.run_time, a.cpu_time,"
      " a.max_rss, a.worker_id, coalesce(a.worker_name, ''), " +
          microseconds_of("a.ended_at") +
          " from postpone_attempts a where a.job_id = $1::bigint order by a.attempt",
      {to_parameter(id)});
  return each(result, attempt_of);
}

// As postpone_jobs shows it (sql/functions/jobs_view.sql): what an earlier attempt has given is not the job's any more.
std::optional<GivenResult> JobManager::given_result(const Job& job) {
  const Result result = impl_->connection.query(
      "select case when g.attempt = $2::int and $3::bool then g.result end, g.progress_done, "
      "g.progress_total,"
      " coalesce(g.progress_note, ''), " +
          microseconds_of("g.updated_at") +
          " from postpone_results g where g.job_id = $1::bigint and g.attempt >= $2::int"
          " and (g.attempt > $2::int or not $4::bool and not exists"
          " (select from postpone_claims c where c.job_id = g.job_id))",
      {to_parameter(job.id), to_parameter(job.attempts), to_parameter(job.status == JobStatus::succeeded),
       to_parameter(job.status == JobStatus::doing)});
  if (result.empty()) return std::nullopt;
  const Row row = result.only();
  GivenResult given{row.get<std::optional<std::string>>(0), std::nullopt, row.get<DatabaseTime>(4)};
  if (!row.is_null(1))
    given.progress = Progress{static_cast<std::uint64_t>(row.get<std::int64_t>(1)),
                              static_cast<std::uint64_t>(row.get<std::optional<std::int64_t>>(2).value_or(0)),
                              row.get<std::string>(3)};
  if (!given.result && !given.progress) return std::nullopt;
  return given;
}

std::vector<LastAttempt> JobManager::last_attempts(const std::vector<JobId>& ids) {
  const Result result = impl_->connection.query(
      "select job.id, job.task_name, job.queue_name, last.attempt, last.cause::text, last.worker_id"
      " from procrastinate_jobs job cross join lateral"
      " (select * from postpone_attempts a where a.job_id = job.id order by attempt desc limit 1) last"
      " where job.id = any($1::bigint[]) order by job.id",
      {to_parameter(ids)});
  return each(result, [](const Row& row) {
    LastAttempt last{row.get<JobId>(0), row.get<std::string>(1), row.get<std::string>(2),
                     row.get<int>(3),   row.get<std::string>(4), {}};
    if (!row.is_null(5)) last.worker_id = row.get<WorkerId>(5);
    return last;
  });
}

std::optional<Worker> JobManager::worker(WorkerId id) {
  const Result result = impl_->connection.query("select w.id, coalesce(o.name, ''), coalesce(o.host, ''), " +
                                                    seconds_since("w.last_heartbeat") +
                                                    ", coalesce(o.pid, 0) from procrastinate_workers w left "
                                                    "join postpone_workers o on o.worker_id = w.id"
                                                    " where w.id = $1::bigint",
                                                {to_parameter(id)});
  if (result.empty()) return std::nullopt;
  const Row row = result.only();
  return Worker{row.get<WorkerId>(0), row.get<std::string>(1), row.get<std::string>(2),
                Seconds(row.get<double>(3)), row.get<int>(4)};
}

// One walk over the jobs that wait, by a partial index of them, and two index probes for each queue. Where
// most jobs wait the planner would rather walk through the whole table, and with several processes: it is not
// worth those, and the table may have grown since it last counted.
QueueDepths JobManager::queue_depths(int most, std::chrono::milliseconds limit) {
  static const std::string kSql =
      "with waiting as materialized ("
      "  select queue_name, count(*) filter (where is_ready) as ready,"
      "    count(*) filter (where not is_ready) as scheduled,"
      "    min(id) filter (where scheduled_at is null and attempts = 0) as first_new,"
      "    min(id) filter (where scheduled_at is null and attempts > 0) as first_again,"
      "    min(scheduled_at) filter (where is_ready) as first_due"
      "  from (select queue_name, id, attempts, scheduled_at,"
      "          scheduled_at is null or scheduled_at <= now() as is_ready"
      "        from procrastinate_jobs where status = 'todo') job"
      "  group by queue_name),"
      " ranked as (select *, count(*) over () as queues, sum(ready) over () as all_ready,"
      "    sum(scheduled) over () as all_scheduled"
      "  from waiting order by ready + scheduled desc, queue_name limit $1::int)"
      " select r.queue_name, r.ready, r.scheduled, (select max(postpone_waited("
      "    first.id, first.scheduled_at)) from ("
      "    select j.id, j.scheduled_at from procrastinate_jobs j"
      "    where j.id in (r.first_new, r.first_again) and j.status = 'todo'"
      "    union all (select j.id, j.scheduled_at from procrastinate_jobs j where j.status = 'todo'"
      "      and j.scheduled_at = r.first_due and j.queue_name = r.queue_name limit 1)) first),"
      "  r.queues, r.all_ready::bigint, r.all_scheduled::bigint"
      " from ranked r order by r.ready + r.scheduled desc, r.queue_name";
  const auto results = impl_->connection.pipeline(
      {{"select set_config('statement_timeout', $1::text, true), set_config('enable_seqscan', 'off', true),"
        " set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true)",
        {std::to_string(limit.count())}},
       {kSql, {to_parameter(most)}}});
  QueueDepths depths;
  for (const Row row : results.back()) {
    QueueDepth depth{row.get<std::string>(0), row.get<std::int64_t>(1), row.get<std::int64_t>(2), {}};
    if (!row.is_null(3)) depth.oldest = Seconds(row.get<double>(3));
    depths.queues.push_back(std::move(depth));
    depths.other_queues = row.get<std::int64_t>(4);
    depths.other_ready = row.get<std::int64_t>(5);
    depths.other_scheduled = row.get<std::int64_t>(6);
  }
  depths.other_queues -= static_cast<std::int64_t>(depths.queues.size());
  for (const QueueDepth& depth : depths.queues) {
    depths.other_ready -= depth.ready;
    depths.other_scheduled -= depth.scheduled;
  }
  return depths;
}

}  // namespace postpone::sql

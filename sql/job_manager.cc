#include "sql/job_manager.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>

#include "sql/connection.h"
#include "sql/filter.h"

namespace postpone::sql {
namespace {

// What job_of() reads, of a table or function called `alias`.
std::string job_columns(const std::string& alias) {
  const std::string a = alias + ".";
  return a + "id, " + a + "queue_name, " + a + "task_name, " + a + "priority, " + a + "lock, " + a +
         "queueing_lock, " + a + "args, " + microseconds_of(a + "scheduled_at") + ", " + a + "attempts";
}
constexpr int kJobColumns = 9;

// The status, abort_requested and worker_id are not among the columns of a fetch, which decides them.
std::string all_job_columns() {
  return job_columns("j") + ", j.status, j.abort_requested, j.worker_id";
}

Job job_of(const Row& row) {
  Job job;
  job.id = row.get<JobId>(0);
  job.queue = row.get<std::string>(1);
  job.task = row.get<std::string>(2);
  job.priority = row.get<int>(3);
  job.lock = row.get<std::optional<std::string>>(4);
  job.queueing_lock = row.get<std::optional<std::string>>(5);
  job.args = row.get<std::string>(6);
  job.scheduled_at = row.get<std::optional<DatabaseTime>>(7);
  job.attempts = row.get<int>(8);
  return job;
}

template <class T>
T known(std::optional<T> value, std::string_view label) {
  if (!value) {
    throw DatabaseError(Remedy::bug, "the database sent the label \"" + std::string(label) +
                                         "\", which this program does not know");
  }
  return *value;
}

JobStatus status_of(const Row& row, int column) {
  return known(parse_job_status(row.text(column)), row.text(column));
}

Job full_job_of(const Row& row) {
  Job job = job_of(row);
  job.status = status_of(row, kJobColumns);
  job.abort_requested = row.get<bool>(kJobColumns + 1);
  job.worker_id = row.get<std::optional<WorkerId>>(kJobColumns + 2);
  return job;
}

Disposition disposition_of(std::string_view label) {
  if (label == "recorded") return Disposition::recorded;
  if (label == "superseded") return Disposition::superseded;
  if (label == "already_recorded") return Disposition::already_recorded;
  if (label == "gone") return Disposition::gone;
  if (label == "reported") return Disposition::reported;
  if (label == "still_running") return Disposition::still_running;
  return known(std::optional<Disposition>(), label);
}

constexpr std::string_view kRecordedColumns = "job_id, disposition, by_job_id, status";

Recorded recorded_of(const Row& row) {
  Recorded recorded;
  recorded.job_id = row.get<JobId>(0);
  recorded.disposition = disposition_of(row.text(1));
  recorded.by = row.get<std::optional<JobId>>(2);
  if (!row.is_null(3)) recorded.status = status_of(row, 3);
  return recorded;
}

template <class Read>
auto each(const Result& result, Read read) {
  std::vector<decltype(read(result.row(0)))> values;
  values.reserve(static_cast<std::size_t>(result.rows()));
  for (const Row row : result) values.push_back(read(row));
  return values;
}

std::vector<std::int64_t> ids_of(const Result& result) {
  return each(result, [](const Row& row) { return row.get<std::int64_t>(0); });
}

std::string json_array(const OutcomeTexts& outcomes) {
  std::string array = "[";
  for (const std::string& outcome : outcomes) {
    if (array.size() > 1) array += ',';
    array += outcome;
  }
  return array + "]";
}

Statement finish_statement(WorkerId worker_id, const OutcomeTexts& outcomes) {
  return {"select " + std::string(kRecordedColumns) + " from postpone_finish_jobs($1::bigint, $2::jsonb)",
          {to_parameter(worker_id), json_array(outcomes)}};
}

// When a job became one that could be run, by its events; its schedule may say later.
std::string ready_since(const std::string& job_id) {
  return "(select max(e.at) from procrastinate_events e where e.job_id = " + job_id +
         " and e.type in ('deferred', 'deferred_for_retry', 'retried'))";
}

// For how long a job could have been run. Nothing when no event tells, or one says `infinity`: what is only
// told must not keep a job from being fetched.
std::string waited_of(const std::string& ready_at) {
  return "(select case when isfinite(w.ready_at) then extract(epoch from clock_timestamp() - w.ready_at) end"
         " from (select " +
         ready_at + " as ready_at) w)::double precision";
}

// No list at all is quicker to compare with than an empty one.
template <class T>
Parameter null_or(const std::vector<T>& values) {
  if (values.empty()) return std::nullopt;
  return to_parameter(values);
}

Statement fetch_statement(const FetchRequest& request) {
  static const std::string kFrom =
      " from postpone_fetch_jobs($1::varchar[], $2::bigint, $3::int, $4::bigint[], $5::text[]) f";
  static const std::string kSql = "select " + job_columns("f") + ", f.more" + kFrom;
  static const std::string kAskingSql = "select " + job_columns("f") + ", f.more, " +
                                        waited_of("greatest(f.scheduled_at, " + ready_since("f.id") + ")") +
                                        kFrom;
  return {request.ask_waited ? kAskingSql : kSql,
          {to_parameter(request.queues), to_parameter(request.worker_id), to_parameter(request.max_jobs),
           null_or(request.passed_over), null_or(request.passed_over_tasks)}};
}

Job leased_job_of(const Row& row, WorkerId worker_id) {
  Job job = job_of(row);
  job.status = JobStatus::doing;
  job.worker_id = worker_id;
  return job;
}

Fetched fetched_of(const Result& result, WorkerId worker_id, bool tells_waited) {
  Fetched fetched;
  for (const Row row : result) {
    Job job = leased_job_of(row, worker_id);
    if (tells_waited && !row.is_null(kJobColumns + 1)) job.waited = Seconds(row.get<double>(kJobColumns + 1));
    fetched.jobs.push_back(std::move(job));
    fetched.more = row.get<bool>(kJobColumns);
  }
  return fetched;
}

void refuse_faults(const DeferRequest& request) {
  const std::string fault = fault_of(request);
  if (!fault.empty()) throw DatabaseError(Remedy::bug, fault);
}

// Requests as columns, so that one statement of fixed text takes any number of them: the parameters of
// kRequests.
std::vector<Parameter> columns_of(const std::vector<DeferRequest>& requests) {
  std::array<std::vector<Parameter>, 8> columns;
  for (const DeferRequest& request : requests) {
    std::array<Parameter, 8> values = {
        request.queue,         request.task, to_parameter(request.priority),     request.lock,
        request.queueing_lock, request.args, to_parameter(request.scheduled_at), std::nullopt};
    if (request.scheduled_in) values[7] = to_parameter(request.scheduled_in->count());
    for (std::size_t i = 0; i < columns.size(); ++i) columns[i].push_back(std::move(values[i]));
  }
  std::vector<Parameter> parameters;
  parameters.reserve(columns.size());
  for (const std::vector<Parameter>& column : columns) parameters.push_back(to_parameter(column));
  return parameters;
}

constexpr const char* kRequests =
    " from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],"
    "             $8::double precision[]) with ordinality"
    "   as r(queue, task, priority, lock, queueing_lock, args, scheduled_at, delay, position)";
constexpr const char* kRequested =
    "r.queue, r.task, r.priority, r.lock, r.queueing_lock, r.args::jsonb,"
    " coalesce(now() + r.delay * interval '1 second', r.scheduled_at)";

// The columns are arrays with NULLs, which the server takes for the word "NULL" where it is told to.
const Statement& know_null_in_arrays() {
  static const Statement kStatement{"select set_config('array_nulls', 'on', true)", {}};
  return kStatement;
}

Statement defer_statement(const std::vector<DeferRequest>& requests) {
  static const std::string kSql = "select unnest(procrastinate_defer_jobs_v1(array_agg(row(" +
                                  std::string(kRequested) +
                                  ")::procrastinate_job_to_defer_v1 order by r.position)))" + kRequests;
  return {kSql, columns_of(requests)};
}

Statement defer_unless_enqueued_statement(const std::vector<DeferRequest>& requests) {
  static const std::string kSql =
      "insert into procrastinate_jobs"
      " (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at) select " +
      std::string(kRequested) + kRequests +
      " order by r.position on conflict (queueing_lock) where status = 'todo' do nothing returning id";
  return {kSql, columns_of(requests)};
}

// The one queueing lock that these requests name; empty when it is none or several.
std::string only_queueing_lock_of(const std::vector<DeferRequest>& requests) {
  std::string only;
  for (const DeferRequest& request : requests) {
    if (!request.queueing_lock || *request.queueing_lock == only) continue;
    if (!only.empty()) return "";
    only = *request.queueing_lock;
  }
  return only;
}

Attempt attempt_of(const Row& row) {
  Attempt attempt;
  attempt.job_id = row.get<JobId>(0);
  attempt.attempt = row.get<int>(1);
  attempt.cause = known(parse_cause(row.text(2)), row.text(2));
  attempt.exception_type = row.get<std::string>(3);
  attempt.message = row.get<std::string>(4);
  attempt.signal = row.get<std::optional<int>>(5);
  attempt.exit_status = row.get<std::optional<int>>(6);
  attempt.stderr_tail = row.get<std::string>(7);
  if (!row.is_null(8)) attempt.run_time = Seconds(row.get<double>(8));
  if (!row.is_null(9)) attempt.cpu_time = Seconds(row.get<double>(9));
  attempt.max_rss_bytes = row.get<std::optional<std::int64_t>>(10);
  attempt.worker_id = row.get<std::optional<WorkerId>>(11);
  attempt.worker_name = row.get<std::string>(12);
  attempt.ended_at = row.get<DatabaseTime>(13);
  return attempt;
}

StalledJob stalled_job_of(const Row& row) {
  StalledJob job;
  job.id = row.get<JobId>(0);
  job.task = row.get<std::string>(1);
  job.queue = row.get<std::string>(2);
  job.lock = row.get<std::optional<std::string>>(3);
  job.attempts = row.get<int>(4);
  job.started_at = row.get<std::optional<DatabaseTime>>(5);
  job.worker_id = row.get<std::optional<WorkerId>>(6);
  job.worker_name = row.get<std::string>(7);
  job.host = row.get<std::string>(8);
  job.supervisor = row.get<std::string>(9);
  job.last_heartbeat = row.get<std::optional<DatabaseTime>>(10);
  if (!row.is_null(11)) job.silent_for = Seconds(row.get<double>(11));
  job.foreign = row.get<bool>(12);
  job.reported = row.get<bool>(13);
  return job;
}

std::string_view to_string(StalledAction action) {
  static constexpr std::array<std::string_view, 3> kLabels = {"retry", "fail", "report"};
  return kLabels.at(static_cast<std::size_t>(action));
}

}  // namespace

struct JobManager::Impl {
  explicit Impl(const ConnectOptions& options) : connection(options) {}
  Connection connection;
};

JobManager::JobManager(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JobManager::JobManager(JobManager&&) noexcept = default;
JobManager& JobManager::operator=(JobManager&&) noexcept = default;
JobManager::~JobManager() = default;

JobManager JobManager::connect(const ConnectOptions& options) {
  return JobManager(std::make_unique<Impl>(options));
}

// --- clients ---

std::vector<JobId> JobManager::defer(const std::vector<DeferRequest>& requests) {
  if (requests.empty()) return {};
  for (const DeferRequest& request : requests) refuse_faults(request);
  try {
    return ids_of(impl_->connection.pipeline({know_null_in_arrays(), defer_statement(requests)}).back());
  } catch (const AlreadyEnqueued& refusal) {
    // The server names the lock only to who may read it.
    const std::string lock = only_queueing_lock_of(requests);
    if (!refusal.queueing_lock().empty() || lock.empty()) throw;
    throw AlreadyEnqueued(refusal, lock);
  }
}

std::vector<JobId> JobManager::defer_unless_enqueued(const std::vector<DeferRequest>& requests) {
  if (requests.empty()) return {};
  for (const DeferRequest& request : requests) refuse_faults(request);
  return ids_of(
      impl_->connection.pipeline({know_null_in_arrays(), defer_unless_enqueued_statement(requests)}).back());
}

std::optional<JobId> JobManager::waiting_under(const std::string& queueing_lock) {
  try {
    const Result result = impl_->connection.query(
        "select id from procrastinate_jobs where status = 'todo' and queueing_lock = $1", {queueing_lock});
    if (result.empty()) return std::nullopt;
    return result.row(0).get<JobId>(0);
  } catch (const DatabaseError& error) {
    if (error.sqlstate() != "42501") throw;
    return std::nullopt;
  }
}

void JobManager::begin() {
  impl_->connection.query("begin");
}

void JobManager::commit() {
  impl_->connection.query("commit");
}

std::optional<JobId> JobManager::defer_periodic(const PeriodicDefer& defer) {
  refuse_faults(defer.job);
  const DeferRequest& job = defer.job;
  const Result result = impl_->connection.query(
      "select procrastinate_defer_periodic_job_v2($1::varchar, $2::varchar, $3::varchar, $4::varchar, "
      "$5::int,"
      " $6::varchar, $7::bigint, $8::jsonb || jsonb_build_object('timestamp', $7::bigint))",
      {job.queue, job.lock, job.queueing_lock, job.task, to_parameter(job.priority), defer.periodic_id,
       to_parameter(defer.timestamp), job.args});
  return result.only().get<std::optional<JobId>>(0);
}

bool JobManager::cancel(JobId id, bool abort, bool delete_job) {
  const Result result = impl_->connection.query(
      "select procrastinate_cancel_job_v1($1::bigint, $2::boolean, $3::boolean) is not null",
      {to_parameter(id), to_parameter(abort), to_parameter(delete_job)});
  return result.only().get<bool>(0);
}

Recorded JobManager::retry(JobId id, const RetryOptions& options) {
  Parameter in;
  if (options.in) in = to_parameter(options.in->count());
  const Result result = impl_->connection.query(
      "select " + std::string(kRecordedColumns) +
          " from postpone_retry_job($1::bigint,"
          "  coalesce(now() + $2::double precision * interval '1 second', $3::timestamptz),"
          "  $4::int, $5::text, $6::text)",
      {to_parameter(id), in, to_parameter(options.at), to_parameter(options.priority), options.queue,
       options.lock});
  return recorded_of(result.only());
}

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

std::optional<Recorded> JobManager::finish_by_hand(JobId id, JobStatus status, Seconds silent_for,
                                                   bool force) {
  const Result result = impl_->connection.query(
      "select " + std::string(kRecordedColumns) +
          " from postpone_finish_by_hand($1::bigint, $2::procrastinate_job_status, $3::double precision,"
          "  $4::boolean)",
      {to_parameter(id), std::string(to_string(status)), to_parameter(silent_for.count()),
       to_parameter(force)});
  if (result.empty()) return std::nullopt;
  return recorded_of(result.only());
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

// --- workers ---

WorkerId JobManager::register_worker(const WorkerDescription& description) {
  const Result result = impl_->connection.query(
      "select postpone_register_worker($1::text, $2::text, $3::text, $4::int)",
      {description.supervisor, description.host, description.name, to_parameter(description.pid)});
  return result.only().get<WorkerId>(0);
}

void JobManager::unregister_worker(WorkerId id) {
  impl_->connection.query("select procrastinate_unregister_worker_v1($1::bigint)", {to_parameter(id)});
}

Heartbeats JobManager::heartbeat(const std::vector<WorkerId>& ids) {
  const std::vector<Result> results = impl_->connection.pipeline(
      {{"select unnest(postpone_store_heartbeats($1::bigint[]))", {to_parameter(ids)}},
       {"select id from procrastinate_workers where id = any($1::bigint[]) order by id",
        {to_parameter(ids)}}});
  Heartbeats heartbeats;
  heartbeats.stored = ids_of(results.front());
  const std::vector<WorkerId> existing = ids_of(results.back());
  std::vector<WorkerId> asked = ids;
  std::ranges::sort(asked);
  std::ranges::set_difference(existing, heartbeats.stored, std::back_inserter(heartbeats.locked));
  std::vector<WorkerId> heard;
  std::ranges::set_union(existing, heartbeats.stored, std::back_inserter(heard));
  std::ranges::set_difference(asked, heard, std::back_inserter(heartbeats.gone));
  return heartbeats;
}

FinishedAndFetched JobManager::finish_and_fetch(WorkerId worker_id, const OutcomeTexts& outcomes,
                                                const FetchRequest& fetch) {
  std::vector<Statement> statements;
  if (!outcomes.empty()) statements.push_back(finish_statement(worker_id, outcomes));
  if (fetch.max_jobs > 0) statements.push_back(fetch_statement(fetch));
  if (statements.empty()) return {};

  const std::vector<Result> results = impl_->connection.pipeline(statements);
  FinishedAndFetched done;
  if (!outcomes.empty()) done.recorded = each(results.front(), recorded_of);
  if (fetch.max_jobs > 0) done.fetched = fetched_of(results.back(), fetch.worker_id, fetch.ask_waited);
  return done;
}

FetchedAround JobManager::fetch_around(const FetchRequest& fetch) {
  static const std::string kSql = "select " + job_columns("f") +
                                  ", f.more, f.refused_because from postpone_fetch_around($1::varchar[], "
                                  "$2::bigint, $3::bigint[], $4::text[]) f";
  const Result result =
      impl_->connection.query(kSql, {to_parameter(fetch.queues), to_parameter(fetch.worker_id),
                                     to_parameter(fetch.passed_over), null_or(fetch.passed_over_tasks)});
  FetchedAround around;
  for (const Row row : result) {
    if (!row.is_null(kJobColumns + 1)) {
      around.refused.push_back({job_of(row), row.get<std::string>(kJobColumns + 1)});
      continue;
    }
    around.fetched.jobs.push_back(leased_job_of(row, fetch.worker_id));
    around.fetched.more = row.get<bool>(kJobColumns);
  }
  return around;
}

// --- housekeeping ---

std::vector<Recorded> JobManager::rescue_worker(const RescueRequest& request) {
  const Result result = impl_->connection.query(
      "select " + std::string(kRecordedColumns) +
          " from postpone_rescue_worker($1::bigint, $2::jsonb, $3::text, $4::int, $5::text, $6::bigint[],"
          "  $7::double precision)",
      {to_parameter(request.worker_id), json_array(request.outcomes), std::string(to_string(request.action)),
       to_parameter(request.max_stalled), storable(request.message), to_parameter(request.running),
       request.silent_for ? to_parameter(request.silent_for->count()) : Parameter()});
  return each(result, recorded_of);
}

std::vector<WorkerId> JobManager::stalled_workers(Seconds silent_for, bool include_foreign) {
  return ids_of(
      impl_->connection.query("select * from postpone_stalled_workers($1::double precision, $2::boolean)",
                              {to_parameter(silent_for.count()), to_parameter(include_foreign)}));
}

std::map<WorkerId, std::int64_t> JobManager::last_heartbeats() {
  const Result result = impl_->connection.query(
      "select w.id, " + microseconds_of("w.last_heartbeat") +
          " from procrastinate_workers w join postpone_workers o on o.worker_id = w.id",
      {});
  std::map<WorkerId, std::int64_t> heartbeats;
  for (std::size_t i = 0; i < static_cast<std::size_t>(result.rows()); ++i) {
    const Row row = result.row(static_cast<int>(i));
    heartbeats[row.get<WorkerId>(0)] = row.get<std::int64_t>(1);
  }
  return heartbeats;
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

std::vector<StalledJob> JobManager::stalled_jobs(Seconds silent_for) {
  const Result result = impl_->connection.query(
      "select job_id, task_name, queue_name, lock, attempts, " + microseconds_of("started_at") +
          ", worker_id, coalesce(worker_name, ''), coalesce(host, ''), coalesce(supervisor, ''), " +
          microseconds_of("last_heartbeat") + ", " + seconds_since("last_heartbeat") +
          ", is_foreign, is_reported from postpone_stalled_jobs($1::double precision)",
      {to_parameter(silent_for.count())});
  return each(result, stalled_job_of);
}

std::vector<Recorded> JobManager::rescue_job(const JobRescue& rescue) {
  const Result result = impl_->connection.query(
      "select " + std::string(kRecordedColumns) +
          " from postpone_rescue_job($1::bigint, $2::text, $3::int, $4::double precision, $5::text)",
      {to_parameter(rescue.job_id), std::string(to_string(rescue.action)), to_parameter(rescue.max_stalled),
       to_parameter(rescue.silent_for.count()), storable(rescue.message)});
  return each(result, recorded_of);
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

std::vector<JobToStop> JobManager::jobs_to_stop(const std::vector<RunningJob>& running) {
  std::vector<WorkerId> workers;
  std::vector<JobId> jobs;
  for (const RunningJob& job : running) {
    workers.push_back(job.worker_id);
    jobs.push_back(job.job_id);
  }
  const Result result = impl_->connection.query(
      "select worker_id, job_id, is_held from postpone_jobs_to_stop($1::bigint[], $2::bigint[])",
      {to_parameter(workers), to_parameter(jobs)});
  return each(result, [](const Row& row) {
    return JobToStop{{row.get<WorkerId>(0), row.get<JobId>(1)}, row.get<bool>(2)};
  });
}

std::optional<NextDue> JobManager::next_due(std::optional<SystemTime> after) {
  const Result result = impl_->connection.query(
      "select " + microseconds_of("d.due_at") +
          ", d.due_in, q from postpone_next_due($1::timestamptz) d, unnest(d.queue_names) q",
      {to_parameter(after)});
  if (result.empty()) return std::nullopt;
  NextDue next{result.row(0).get<SystemTime>(0), Seconds(result.row(0).get<double>(1)), {}};
  next.queues = each(result, [](const Row& row) { return row.get<std::string>(2); });
  return next;
}

SystemTime JobManager::server_time() {
  return impl_->connection.query("select " + microseconds_of("clock_timestamp()")).only().get<SystemTime>(0);
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
      " select r.queue_name, r.ready, r.scheduled, (select max(" +
      waited_of("greatest(first.scheduled_at, " + ready_since("first.id") + ")") +
      ") from ("
      "    select j.id, j.scheduled_at from procrastinate_jobs j"
      "    where j.id in (r.first_new, r.first_again) and j.status = 'todo'"
      "    union all (select j.id, j.scheduled_at from procrastinate_jobs j where j.status = 'todo'"
      "      and j.scheduled_at = r.first_due and j.queue_name = r.queue_name limit 1)) first),"
      "  r.queues, r.all_ready::bigint, r.all_scheduled::bigint"
      " from ranked r order by r.ready + r.scheduled desc, r.queue_name";
  const auto results = impl_->connection.pipeline(
      {{"select set_config('statement_timeout', $1::text, true), set_config('enable_seqscan', 'off', true),"
        " set_config('max_parallel_workers_per_gather', '0', true)",
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

int JobManager::server_version() const {
  return impl_->connection.server_version();
}

std::string JobManager::database() const {
  return impl_->connection.database();
}

}  // namespace postpone::sql

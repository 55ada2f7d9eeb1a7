#include "sql/bulk_changes.h"

#include <map>
#include <set>
#include <utility>

#include "sql/after_conflict.h"
#include "sql/connection.h"
#include "sql/filter.h"
#include "sql/in_halves.h"

namespace postpone::sql {
namespace {

using What = JobChange::What;
using Ids = std::vector<JobId>;

std::set<JobId> ids_in(const Result& result) {
  std::set<JobId> ids;
  for (const Row row : result) ids.insert(row.get<JobId>(0));
  return ids;
}

Statement about(const std::string& sql, const Ids& ids) {
  return {sql, {to_parameter(ids)}};
}

// The statuses that the jobs have now: the answer reports them for jobs that were not changed.
Statement look(const Ids& ids) {
  return about("select j.id, j.status from procrastinate_jobs j where j.id = any($1::bigint[])", ids);
}

std::map<JobId, JobStatus> statuses_in(const Result& result) {
  std::map<JobId, JobStatus> statuses;
  for (const Row row : result) {
    const auto status = parse_job_status(row.text(1));
    if (!status) {
      throw DatabaseError(Remedy::bug, "the database sent the status \"" + std::string(row.text(1)) +
                                           "\", which this program does not know");
    }
    statuses.emplace(row.get<JobId>(0), *status);
  }
  return statuses;
}

bool may_be_retried(JobStatus status, bool even_running) {
  return status == JobStatus::failed || status == JobStatus::cancelled || status == JobStatus::aborted ||
         (even_running && status == JobStatus::doing);
}

JobChange failed(JobId id, const DatabaseError& error) {
  return {id, What::failed, JobStatus::todo, std::nullopt,
          error.sqlstate() == "55P03" ? "another session has locked it" : error.what()};
}

// postpone_retry_job() for all jobs of a batch at once, as far as no conflict is possible. It leaves out jobs
// that run, jobs whose queueing lock another job has, and jobs of the batch that want the same queueing lock:
// the caller retries those one by one.
constexpr const char* kRetryBatch =
    "with batch as materialized ("
    " select j.id, j.status, j.queueing_lock, count(*) over (partition by j.queueing_lock) as wanted"
    " from procrastinate_jobs j where j.id = any($1::bigint[])),"
    " chosen as ("
    " select b.id from batch b where b.status in ('failed', 'cancelled', 'aborted')"
    "  and (b.queueing_lock is null or b.wanted = 1 and not exists ("
    "   select from procrastinate_jobs waiting"
    "   where waiting.status = 'todo' and waiting.queueing_lock = b.queueing_lock)))"
    " update procrastinate_jobs j set status = 'todo', attempts = case when j.status = 'failed' then "
    "postpone_next_attempt(j.attempts) else j.attempts end,"
    "  scheduled_at = coalesce(now() + $2::double precision * interval '1 second', $3::timestamptz),"
    "  priority = coalesce($4::int, j.priority), queue_name = coalesce($5::text, j.queue_name),"
    "  lock = coalesce($6::text, j.lock), abort_requested = false,"
    "  uncounted_attempts = case when j.status = 'failed' then postpone_next_attempt(j.attempts) else "
    "j.attempts"
    "   end, attempts_allowed = $7::int"
    " from chosen where j.id = chosen.id and j.status in ('failed', 'cancelled', 'aborted') returning j.id";

// For a dry run: the queueing locks of the jobs that could wait again, and the waiting job that has each now.
constexpr const char* kWantedLocks =
    "select j.id, j.queueing_lock, waiting.id from procrastinate_jobs j left join procrastinate_jobs waiting"
    "  on waiting.status = 'todo' and waiting.queueing_lock = j.queueing_lock"
    " where j.id = any($1::bigint[]) and j.queueing_lock is not null";

}  // namespace

struct BulkChanges::Impl {
  explicit Impl(const ConnectOptions& options) : connection(options) {}

  std::vector<Result> change(const std::vector<Statement>& statements);
  std::vector<JobChange> cancel(const Ids& ids, bool abort, bool delete_jobs, bool dry_run);
  std::vector<JobChange> retry(const Ids& ids, const RetryOptions& options, bool even_running);
  Result call_retry(JobId id, const RetryOptions& options, bool even_running);
  JobChange retry_alone(JobId id, const RetryOptions& options, bool even_running);
  std::vector<JobChange> retry_in_thought(const Ids& ids, bool even_running);

  Connection connection;
  // Of dry runs: the queueing locks that jobs of this change would have, and which job would be the first.
  std::map<std::string, JobId> wanted;
};

// All of it, or nothing; again where another transaction was preferred. A row that another session has locked
// is waited for, but not for long.
std::vector<Result> BulkChanges::Impl::change(const std::vector<Statement>& statements) {
  std::vector<Statement> limited = {{"select set_config('lock_timeout', '1s', true)", {}}};
  limited.insert(limited.end(), statements.begin(), statements.end());
  std::vector<Result> results = again_after_conflict([&] { return connection.pipeline(limited); });
  results.erase(results.begin());
  return results;
}

BulkChanges::BulkChanges(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BulkChanges::BulkChanges(BulkChanges&&) noexcept = default;
BulkChanges& BulkChanges::operator=(BulkChanges&&) noexcept = default;
BulkChanges::~BulkChanges() = default;

BulkChanges BulkChanges::connect(const ConnectOptions& options) {
  return BulkChanges(std::make_unique<Impl>(options));
}

std::string BulkChanges::database() const {
  return impl_->connection.database();
}

std::vector<JobId> BulkChanges::find(const JobFilter& filter) {
  Where where = where_of(filter);
  std::string sql = "select j.id from procrastinate_jobs j" + where.take_sql() + " order by j.id";
  Ids ids;
  for (const Row row : impl_->connection.query(std::move(sql), where.take_parameters()))
    ids.push_back(row.get<JobId>(0));
  return ids;
}

// ---- cancel --------------------------------------------------------------------------------------

std::vector<JobChange> BulkChanges::cancel(const Ids& ids, bool abort, bool delete_jobs, bool dry_run) {
  return in_halves(
      ids, [&](const Ids& part) { return impl_->cancel(part, abort, delete_jobs, dry_run); }, failed);
}

std::vector<JobChange> BulkChanges::Impl::cancel(const Ids& ids, bool abort, bool delete_jobs, bool dry_run) {
  std::vector<Statement> statements;
  if (!dry_run) {
    statements.push_back(about("select postpone_cancel_waiting($1::bigint[], $2::boolean)", ids));
    statements.back().parameters.push_back(to_parameter(delete_jobs));
    statements.push_back(
        about("update procrastinate_jobs set abort_requested = true"
              " where id = any($1::bigint[]) and status = 'doing' and $2::boolean returning id",
              ids));
    statements.back().parameters.push_back(to_parameter(abort));
  }
  statements.push_back(look(ids));
  const std::vector<Result> results = change(statements);
  const std::set<JobId> ended = dry_run ? std::set<JobId>() : ids_in(results[0]);
  const std::set<JobId> asked = dry_run ? std::set<JobId>() : ids_in(results[1]);
  const std::map<JobId, JobStatus> now = statuses_in(results.back());

  std::vector<JobChange> changes;
  for (const JobId id : ids) {
    const auto found = now.find(id);
    JobChange change{id};
    if (found != now.end()) {
      change.status = found->second;
      change.what = What::refused;
    }
    const bool waits = dry_run && found != now.end() && found->second == JobStatus::todo;
    const bool runs = dry_run && abort && found != now.end() && found->second == JobStatus::doing;
    if (ended.contains(id) || waits) change.what = delete_jobs ? What::deleted : What::cancelled;
    if (asked.contains(id) || runs) change.what = What::abort_requested;
    changes.push_back(change);
  }
  return changes;
}

// ---- retry ---------------------------------------------------------------------------------------

// The server raises an error where the job's status allows no retry: another session may have changed it
// since the caller looked. So a job that has begun to run since then is left alone, too, unless
// `even_running`.
Result BulkChanges::Impl::call_retry(JobId id, const RetryOptions& options, bool even_running) {
  Parameter in;
  if (options.in) in = to_parameter(options.in->count());
  auto results = change(
      {{"select disposition, by_job_id, status from postpone_requeue_job($1::bigint,"
        "  $2::text::procrastinate_job_status[],"
        "  coalesce(now() + $3::double precision * interval '1 second', $4::timestamptz),"
        "  $5::int, $6::text, $7::text, $8::int)",
        {to_parameter(id), even_running ? "{doing,failed,cancelled,aborted}" : "{failed,cancelled,aborted}",
         in, to_parameter(options.at), to_parameter(options.priority), options.queue, options.lock,
         to_parameter(options.attempts)}}});
  return std::move(results.front());
}

JobChange BulkChanges::Impl::retry_alone(JobId id, const RetryOptions& options, bool even_running) {
  std::optional<Result> answer;
  try {
    answer = call_retry(id, options, even_running);
  } catch (const DatabaseError& error) {
    if (!is_of_a_row(error)) throw;
    const auto now = statuses_in(connection.pipeline({look({id})}).front());
    if (now.empty()) return JobChange{id};
    const JobStatus status = now.begin()->second;
    if (!may_be_retried(status, even_running)) return JobChange{id, What::refused, status};
    JobChange change = failed(id, error);
    change.status = status;
    return change;
  }
  const Row row = answer->only();
  JobChange change{id, What::retried};
  if (const auto status = parse_job_status(row.text(2))) change.status = *status;
  if (row.text(0) == "superseded") {
    change.what = What::superseded;
    change.by = row.get<std::optional<JobId>>(1);
  } else if (change.status != JobStatus::todo) {
    change.what = What::refused;
  }
  return change;
}

std::vector<JobChange> BulkChanges::retry(const Ids& ids, const RetryOptions& options, bool even_running,
                                          bool dry_run) {
  if (dry_run) return impl_->retry_in_thought(ids, even_running);
  return in_halves(
      ids, [&](const Ids& part) { return impl_->retry(part, options, even_running); }, failed);
}

// What retry() would do. The jobs of earlier batches would wait by now.
std::vector<JobChange> BulkChanges::Impl::retry_in_thought(const Ids& ids, bool even_running) {
  const std::vector<Result> looked = change({look(ids), about(kWantedLocks, ids)});
  const std::map<JobId, JobStatus> before = statuses_in(looked[0]);
  std::map<JobId, std::string> locks;
  for (const Row row : looked[1]) {
    locks.emplace(row.get<JobId>(0), row.get<std::string>(1));
    if (const auto waiting = row.get<std::optional<JobId>>(2))
      wanted.emplace(row.get<std::string>(1), *waiting);
  }
  std::vector<JobChange> changes;
  for (const JobId id : ids) {
    const auto found = before.find(id);
    if (found == before.end()) {
      changes.push_back({id});
    } else if (!may_be_retried(found->second, even_running)) {
      changes.push_back({id, What::refused, found->second});
    } else if (const auto lock = locks.find(id);
               lock == locks.end() || wanted.emplace(lock->second, id).second) {
      changes.push_back({id, What::retried});
    } else {
      changes.push_back({id, What::superseded, found->second, wanted.at(lock->second)});
    }
  }
  return changes;
}

std::vector<JobChange> BulkChanges::Impl::retry(const Ids& ids, const RetryOptions& options,
                                                bool even_running) {
  Parameter in;
  if (options.in) in = to_parameter(options.in->count());
  const std::map<JobId, JobStatus> before = statuses_in(change({look(ids)}).front());
  std::set<JobId> done;
  try {
    done = ids_in(change({{kRetryBatch,
                           {to_parameter(ids), in, to_parameter(options.at), to_parameter(options.priority),
                            options.queue, options.lock, to_parameter(options.attempts)}}})
                      .front());
  } catch (const AlreadyEnqueued&) {
    // A job with one of the queueing locks has come in between: each is asked by itself.
  }

  std::vector<JobChange> changes;
  for (const JobId id : ids) {
    const auto found = before.find(id);
    if (found == before.end()) {
      changes.push_back({id});
    } else if (done.contains(id)) {
      changes.push_back({id, What::retried});
    } else if (!may_be_retried(found->second, even_running)) {
      changes.push_back({id, What::refused, found->second});
    } else {
      changes.push_back(retry_alone(id, options, even_running));
    }
  }
  return changes;
}

}  // namespace postpone::sql

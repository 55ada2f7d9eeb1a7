#include "sql/job_set.h"

#include <map>
#include <set>
#include <thread>
#include <utility>

#include "sql/connection.h"
#include "sql/filter.h"
#include "sys/backoff.h"

namespace postpone::sql {
namespace {

using What = SetChange::What;
using Ids = std::vector<JobId>;

// A batch that lost a deadlock against a fetch or a finish goes well the next time; one that loses again and
// again has met something else.
constexpr int kMostRounds = 6;

std::set<JobId> ids_in(const Result& result) {
  std::set<JobId> ids;
  for (const Row row : result) ids.insert(row.get<JobId>(0));
  return ids;
}

Statement about(const std::string& sql, const Ids& ids) {
  return {sql, {to_parameter(ids)}};
}

// How the jobs stand; what the answer says of those that are not changed.
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

// Whether what the server says may be about one row only, and not about the statement or the connection.
bool is_of_a_row(const DatabaseError& error) {
  return error.remedy() == Remedy::bug && !error.sqlstate().empty() && !error.sqlstate().starts_with("42");
}

// One job that the database refuses, by a foreign key or a trigger of the application, costs that job and not
// its batch.
template <class Work>
std::vector<SetChange> in_halves(const Ids& ids, Work work) {
  try {
    return work(ids);
  } catch (const DatabaseError& error) {
    if (!is_of_a_row(error)) throw;
    if (ids.size() == 1)
      return {SetChange{ids.front(), What::failed, JobStatus::todo, std::nullopt, error.what()}};
  }
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(ids.size() / 2);
  std::vector<SetChange> changes = in_halves(Ids(ids.begin(), middle), work);
  for (SetChange& change : in_halves(Ids(middle, ids.end()), work)) changes.push_back(std::move(change));
  return changes;
}

// The jobs of a batch that wait again without a word: postpone_retry_job() for all at once. Those that run,
// and those whose queueing lock another has, or another of the batch wants, are left to it, one by one.
constexpr const char* kRetrySet =
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
    "  lock = coalesce($6::text, j.lock), abort_requested = false"
    " from chosen where j.id = chosen.id and j.status in ('failed', 'cancelled', 'aborted') returning j.id";

// For a dry run: which waiting job, or which earlier one of the batch, is in the way of whom.
constexpr const char* kInTheWay =
    "with batch as materialized ("
    " select j.id, j.queueing_lock, min(j.id) filter (where j.status in ('failed', 'cancelled', 'aborted'))"
    "  over (partition by j.queueing_lock) as first"
    " from procrastinate_jobs j where j.id = any($1::bigint[]) and j.queueing_lock is not null)"
    " select b.id, coalesce(waiting.id, b.first) from batch b left join procrastinate_jobs waiting"
    "  on waiting.status = 'todo' and waiting.queueing_lock = b.queueing_lock"
    " where waiting.id is not null or b.first < b.id";

}  // namespace

struct JobSet::Impl {
  explicit Impl(const ConnectOptions& options) : connection(options) {}

  std::vector<Result> change(const std::vector<Statement>& statements);
  std::vector<SetChange> cancel(const Ids& ids, bool abort, bool delete_jobs, bool dry_run);
  std::vector<SetChange> retry(const Ids& ids, const JobManager::RetryOptions& options, bool even_running,
                               bool dry_run);
  Result call_retry(JobId id, const JobManager::RetryOptions& options);
  SetChange retry_alone(JobId id, const JobManager::RetryOptions& options);

  Connection connection;
};

// All of it, or nothing; again where another transaction was preferred.
std::vector<Result> JobSet::Impl::change(const std::vector<Statement>& statements) {
  sys::Backoff backoff{std::chrono::milliseconds(20), std::chrono::seconds(1)};
  for (;;) {
    try {
      return connection.pipeline(statements);
    } catch (const DatabaseError& error) {
      if (error.remedy() != Remedy::retry || backoff.failures() + 1 >= kMostRounds) throw;
    }
    std::this_thread::sleep_for(backoff.next(sys::chance()));
  }
}

JobSet::JobSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JobSet::JobSet(JobSet&&) noexcept = default;
JobSet& JobSet::operator=(JobSet&&) noexcept = default;
JobSet::~JobSet() = default;

JobSet JobSet::connect(const ConnectOptions& options) {
  return JobSet(std::make_unique<Impl>(options));
}

std::string JobSet::database() const {
  return impl_->connection.database();
}

std::vector<JobId> JobSet::find(const JobFilter& filter) {
  Where where = where_of(filter);
  std::string sql = "select j.id from procrastinate_jobs j" + where.take_sql() + " order by j.id";
  Ids ids;
  for (const Row row : impl_->connection.query(std::move(sql), where.take_parameters()))
    ids.push_back(row.get<JobId>(0));
  return ids;
}

// ---- cancel --------------------------------------------------------------------------------------

std::vector<SetChange> JobSet::cancel(const Ids& ids, bool abort, bool delete_jobs, bool dry_run) {
  return in_halves(ids, [&](const Ids& part) { return impl_->cancel(part, abort, delete_jobs, dry_run); });
}

std::vector<SetChange> JobSet::Impl::cancel(const Ids& ids, bool abort, bool delete_jobs, bool dry_run) {
  std::vector<Statement> statements;
  if (!dry_run) {
    statements.push_back(
        about(std::string(delete_jobs ? "delete from procrastinate_jobs"
                                      : "update procrastinate_jobs set status = 'cancelled'") +
                  " where id = any($1::bigint[]) and status = 'todo' returning id",
              ids));
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

  std::vector<SetChange> changes;
  for (const JobId id : ids) {
    const auto found = now.find(id);
    SetChange change{id};
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

// Raises where the status does not allow it, as it may since somebody else has changed it in this moment.
Result JobSet::Impl::call_retry(JobId id, const JobManager::RetryOptions& options) {
  Parameter in;
  if (options.in) in = to_parameter(options.in->count());
  auto results =
      change({{"select disposition, by_job_id, status from postpone_retry_job($1::bigint,"
               "  coalesce(now() + $2::double precision * interval '1 second', $3::timestamptz),"
               "  $4::int, $5::text, $6::text)",
               {to_parameter(id), in, to_parameter(options.at), to_parameter(options.priority), options.queue,
                options.lock}}});
  return std::move(results.front());
}

SetChange JobSet::Impl::retry_alone(JobId id, const JobManager::RetryOptions& options) {
  std::optional<Result> answer;
  try {
    answer = call_retry(id, options);
  } catch (const DatabaseError& error) {
    if (!is_of_a_row(error)) throw;
    const auto now = statuses_in(connection.pipeline({look({id})}).front());
    if (now.empty()) return SetChange{id};
    const JobStatus status = now.begin()->second;
    if (!may_be_retried(status, true)) return SetChange{id, What::refused, status};
    return SetChange{id, What::failed, status, std::nullopt, error.what()};
  }
  const Row row = answer->only();
  SetChange change{id, What::retried};
  if (const auto status = parse_job_status(row.text(2))) change.status = *status;
  if (row.text(0) == "superseded") {
    change.what = What::superseded;
    change.by = row.get<std::optional<JobId>>(1);
  } else if (change.status != JobStatus::todo) {
    change.what = What::refused;
  }
  return change;
}

std::vector<SetChange> JobSet::retry(const Ids& ids, const JobManager::RetryOptions& options,
                                     bool even_running, bool dry_run) {
  return in_halves(ids, [&](const Ids& part) { return impl_->retry(part, options, even_running, dry_run); });
}

std::vector<SetChange> JobSet::Impl::retry(const Ids& ids, const JobManager::RetryOptions& options,
                                           bool even_running, bool dry_run) {
  Parameter in;
  if (options.in) in = to_parameter(options.in->count());
  const std::vector<Result> looked = change({look(ids), about(kInTheWay, dry_run ? ids : Ids())});
  const std::map<JobId, JobStatus> before = statuses_in(looked[0]);
  std::map<JobId, JobId> in_the_way;
  for (const Row row : looked[1]) in_the_way.emplace(row.get<JobId>(0), row.get<JobId>(1));

  std::set<JobId> done;
  if (!dry_run) {
    try {
      done = ids_in(change({{kRetrySet,
                             {to_parameter(ids), in, to_parameter(options.at), to_parameter(options.priority),
                              options.queue, options.lock}}})
                        .front());
    } catch (const AlreadyEnqueued&) {
      // A job with one of the queueing locks has come in between: each is asked by itself.
    }
  }

  std::vector<SetChange> changes;
  for (const JobId id : ids) {
    const auto found = before.find(id);
    if (found == before.end()) {
      changes.push_back({id});
    } else if (done.contains(id)) {
      changes.push_back({id, What::retried});
    } else if (!may_be_retried(found->second, even_running)) {
      changes.push_back({id, What::refused, found->second});
    } else if (!dry_run) {
      changes.push_back(retry_alone(id, options));
    } else if (const auto other = in_the_way.find(id); other != in_the_way.end()) {
      changes.push_back({id, What::superseded, found->second, other->second});
    } else {
      changes.push_back({id, What::retried});
    }
  }
  return changes;
}

}  // namespace postpone::sql

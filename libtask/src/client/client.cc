#include "libtask/client.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "many.h"
#include "requests.h"
#include "session.h"

namespace libtask {
namespace {

using Statements = detail::Whole::Statements;

constexpr std::array<std::string_view, 6> kStatuses{"todo",   "doing",     "succeeded",
                                                    "failed", "cancelled", "aborted"};

JobStatus status_of(std::string_view label) {
  const auto found = std::find(kStatuses.begin(), kStatuses.end(), label);
  if (found != kStatuses.end()) return static_cast<JobStatus>(found - kStatuses.begin());
  if (label == "aborting") return JobStatus::doing;  // a legacy that nothing writes
  throw DatabaseError(
      "the database sent the status \"" + std::string(label) + "\", which this program does not know", "");
}

std::string conninfo_of_environment() {
  const char* const url = std::getenv("POSTPONE_DATABASE_URL");
  return url != nullptr ? url : "";
}

bool has_ended(JobStatus status) {
  return status != JobStatus::todo && status != JobStatus::doing;
}

// For one job without arrays. The time is by the database's clock, as of this call: a transaction of the caller's may have begun
// long ago.
constexpr const char* kDefer =
    "SELECT postpone_defer($1, $2, $3, $4, $5, $6, coalesce($7, clock_timestamp() + $10 * interval '1 "
    "microsecond'), $8, $9), 'created'";
constexpr const char* kDeferOrMeet =
    "SELECT job_id, disposition FROM postpone_defer_jobs(ARRAY[$1], ARRAY[$2], ARRAY[$3], ARRAY[$4], "
    "ARRAY[$5], ARRAY[$6], ARRAY[coalesce($7, clock_timestamp() + $10 * interval '1 microsecond')], "
    "ARRAY[$8], "
    "ARRAY[$9])";

std::vector<detail::Parameter> parameters_of(const NewJob& job) {
  const std::optional<std::chrono::microseconds> in = job.options().schedule_in;
  std::vector<detail::Bytes> columns = detail::columns_of(job, 0);
  std::vector<detail::Parameter> parameters;
  for (std::size_t i = 0; i < detail::kColumns; ++i)
    parameters.push_back({detail::kTypes[i], std::move(columns[i])});
  if (in) parameters[6].bytes.reset();
  parameters.push_back({detail::Type::int8, in ? detail::to_bytes(std::int64_t{in->count()}) : std::nullopt});
  return parameters;
}

detail::Parameter id_of(std::int64_t job_id) {
  return {detail::Type::int8, detail::to_bytes(job_id)};
}

}  // namespace

class Client::Impl {
 public:
  template <class Connection>
  explicit Impl(Connection connection) : session(connection) {}

  // One statement, of one answer, in its savepoint.
  detail::Rows ask(const std::string& sql, const std::vector<detail::Parameter>& parameters) {
    const std::lock_guard guard(mutex);
    detail::Whole whole(session, Statements::one);
    detail::Rows rows = session.query(sql, parameters);
    whole.commit();
    return rows;
  }

  bool cancel(std::int64_t job_id, const char* abort) {
    const detail::Rows rows =
        ask("SELECT procrastinate_cancel_job_v1($1, " + std::string(abort) + ", false) IS NOT NULL",
            {id_of(job_id)});
    return rows.flag(0, 0);
  }

  std::mutex mutex;
  detail::Session session;
};

std::string_view to_string(JobStatus status) {
  return kStatuses.at(static_cast<std::size_t>(status));
}

Client::Client() : Client(conninfo_of_environment()) {}
Client::Client(const std::string& conninfo) : impl_(std::make_unique<Impl>(std::cref(conninfo))) {}
Client::Client(pg_conn* connection) : impl_(std::make_unique<Impl>(connection)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Deferred Client::defer(const NewJob& job) {
  detail::check(job);
  const bool may_meet = job.options().on_conflict != OnConflict::refuse;
  const detail::Rows rows = impl_->ask(may_meet ? kDeferOrMeet : kDefer, parameters_of(job));
  return {rows.number(0, 0), detail::disposition_of(rows.text(0, 1))};
}

std::vector<Deferred> Client::defer_many(const std::vector<NewJob>& jobs, const DeferCallback& on_progress) {
  for (const NewJob& job : jobs) detail::check(job);
  const std::lock_guard guard(impl_->mutex);
  return detail::defer_many(impl_->session, jobs, on_progress);
}

bool Client::cancel(std::int64_t job_id) {
  return impl_->cancel(job_id, "false");
}

bool Client::abort(std::int64_t job_id) {
  return impl_->cancel(job_id, "true");
}

bool Client::retry(std::int64_t job_id) {
  const detail::Rows rows = impl_->ask(
      "SELECT disposition = 'recorded' FROM postpone_requeue_job($1, '{failed,cancelled,aborted}', "
      "NULL, NULL, NULL, NULL)",
      {id_of(job_id)});
  return rows.flag(0, 0);
}

// One that a worker has claimed waits by its row only (docs/sql.md, Fetch).
std::optional<JobState> Client::status(std::int64_t job_id) {
  const detail::Rows rows = impl_->ask(
      "SELECT CASE WHEN job.status = 'todo' AND EXISTS (SELECT FROM postpone_claims AS claim WHERE "
      "claim.job_id = job.id) THEN 'doing' ELSE job.status::text END, job.task_name, job.queue_name, "
      "job.attempts, job.abort_requested, (SELECT shown.progress FROM postpone_jobs AS shown WHERE shown.id "
      "= "
      "job.id) FROM procrastinate_jobs AS job WHERE job.id = $1",
      {id_of(job_id)});
  if (rows.count() == 0) return std::nullopt;
  return JobState{.status = status_of(rows.text(0, 0)),
                  .task = rows.text(0, 1),
                  .queue = rows.text(0, 2),
                  .attempts = static_cast<int>(rows.number(0, 3)),
                  .abort_requested = rows.flag(0, 4),
                  .progress = rows.text(0, 5)};
}

std::optional<std::string> Client::result(std::int64_t job_id) {
  const detail::Rows rows = impl_->ask(
      "SELECT result::text FROM postpone_jobs WHERE id = $1 AND result IS NOT NULL", {id_of(job_id)});
  if (rows.count() == 0) return std::nullopt;
  return rows.text(0, 0);
}

std::optional<JobStatus> Client::wait_for(std::int64_t job_id, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kLongestPause(250);
  const auto start = Clock::now();
  std::chrono::milliseconds pause(5);
  for (;;) {
    {
      const std::lock_guard guard(impl_->mutex);
      if (impl_->session.in_transaction())
        throw std::logic_error(
            "wait_for() while a transaction is open: commit it first, or the job may never run");
    }
    const std::optional<JobState> state = status(job_id);
    if (!state) return std::nullopt;
    if (has_ended(state->status)) return state->status;
    // In milliseconds, and not start + timeout: "for ever" overflows as anything finer.
    const auto left = timeout - std::chrono::floor<std::chrono::milliseconds>(Clock::now() - start);
    if (left.count() <= 0) return std::nullopt;
    std::this_thread::sleep_for(std::min(pause, left));
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace libtask

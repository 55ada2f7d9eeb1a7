#include "sql/job_manager.h"

#include <array>
#include <string_view>
#include <utility>

#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

// Requests as columns, so that one statement of fixed text takes any number of them: the parameters of
// kRequests.
std::vector<Parameter> columns_of(const std::vector<DeferRequest>& requests) {
  std::array<std::vector<Parameter>, 10> columns;
  for (const DeferRequest& request : requests) {
    std::array<Parameter, 10> values = {request.queue,
                                        request.task,
                                        to_parameter(request.priority),
                                        request.lock,
                                        request.queueing_lock,
                                        request.args,
                                        to_parameter(request.scheduled_at),
                                        std::nullopt,
                                        std::string(to_string(request.on_conflict)),
                                        request.meta};
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
    "             $8::double precision[], $9::text[], $10::text[]) with ordinality"
    "   as r(queue, task, priority, lock, queueing_lock, args, scheduled_at, delay, on_conflict, meta, "
    "position)";
constexpr const char* kWhen = "coalesce(now() + r.delay * interval '1 second', r.scheduled_at)";

// The columns are arrays with NULLs. A server with `array_nulls = off` would read those as the word "NULL".
const Statement& know_null_in_arrays() {
  static const Statement kStatement{"select set_config('array_nulls', 'on', true)", {}};
  return kStatement;
}

Statement defer_statement(const std::vector<DeferRequest>& requests) {
  const auto column = [](const std::string& name) { return "array_agg(" + name + " order by r.position)"; };
  static const std::string kSql =
      "select deferred.job_id from (select " + column("r.task") + ", " + column("r.args::jsonb") + ", " +
      column("r.queue") + ", " + column("r.priority") + ", " + column("r.lock") + ", " +
      column("r.queueing_lock") + ", " + column(kWhen) + ", " + column("r.on_conflict") + ", " +
      column("r.meta::jsonb") + kRequests +
      ") as a (tasks, args, queues, priorities, locks, queueing_locks, times, choices, meta),"
      " postpone_defer_jobs(tasks, args, queues, priorities, locks, queueing_locks, times, choices, meta) as "
      "deferred";
  return {kSql, columns_of(requests)};
}

Statement defer_unless_enqueued_statement(const std::vector<DeferRequest>& requests) {
  static const std::string kSql =
      "insert into procrastinate_jobs"
      " (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, meta)"
      " select r.queue, r.task, r.priority, r.lock, r.queueing_lock, r.args::jsonb, " +
      std::string(kWhen) + ", r.meta::jsonb" + kRequests +
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

}  // namespace

void refuse_faults(const DeferRequest& request) {
  const std::string fault = fault_of(request);
  if (!fault.empty()) throw DatabaseError(Remedy::bug, fault);
}

JobManager::JobManager(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JobManager::JobManager(JobManager&&) noexcept = default;
JobManager& JobManager::operator=(JobManager&&) noexcept = default;
JobManager::~JobManager() = default;

JobManager JobManager::connect(const ConnectOptions& options) {
  return JobManager(std::make_unique<Impl>(options));
}

// --- deferring ---

std::vector<JobId> JobManager::defer(const std::vector<DeferRequest>& requests) {
  if (requests.empty()) return {};
  for (const DeferRequest& request : requests) refuse_faults(request);
  try {
    return ids_of(impl_->transact({know_null_in_arrays(), defer_statement(requests)}).back());
  } catch (const AlreadyEnqueued& refusal) {
    // The server names the lock only to a login that may read it.
    const std::string lock = only_queueing_lock_of(requests);
    if (!refusal.queueing_lock().empty() || lock.empty()) throw;
    throw AlreadyEnqueued(refusal, lock);
  }
}

std::vector<JobId> JobManager::defer_unless_enqueued(const std::vector<DeferRequest>& requests) {
  if (requests.empty()) return {};
  for (const DeferRequest& request : requests) refuse_faults(request);
  return ids_of(impl_->transact({know_null_in_arrays(), defer_unless_enqueued_statement(requests)}).back());
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
  impl_->in_transaction = true;
}

void JobManager::commit() {
  impl_->in_transaction = false;
  impl_->connection.query("commit");
}

// --- the connection ---

SystemTime JobManager::server_time() {
  return impl_->connection.query("select " + microseconds_of("clock_timestamp()")).only().get<SystemTime>(0);
}

int JobManager::server_version() const {
  return impl_->connection.server_version();
}

std::string JobManager::database() const {
  return impl_->connection.database();
}

}  // namespace postpone::sql

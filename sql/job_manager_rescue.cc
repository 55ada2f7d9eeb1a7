// Stalled jobs: finding them, and deciding what becomes of them.
#include <array>
#include <utility>

#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

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

std::vector<Recorded> JobManager::rescue_worker(const RescueRequest& request) {
  const Statement rescue{
      "select " + std::string(kRecordedColumns) +
          " from postpone_rescue_worker($1::bigint, $2::jsonb, $3::text, $4::int, $5::text, $6::bigint[],"
          "  $7::double precision)",
      {to_parameter(request.worker_id), json_array(request.outcomes), std::string(to_string(request.action)),
       to_parameter(request.max_stalled), storable(request.message), to_parameter(request.running),
       request.silent_for ? to_parameter(request.silent_for->count()) : Parameter()},
      true};
  if (!request.is_kept) return each(impl_->connection.pipeline({rescue}).front(), recorded_of);
  const Statement no_wait{"select set_config('synchronous_commit', 'off', true)", {}, true};
  return each(impl_->connection.pipeline({no_wait, rescue}).back(), recorded_of);
}

// Only a transaction that writes has its commit waited for, and that is all this one writes.
void JobManager::flush() {
  impl_->connection.query("select pg_logical_emit_message(true, 'postpone', '')");
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

}  // namespace postpone::sql

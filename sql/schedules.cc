#include "sql/schedules.h"

#include <utility>

#include "sql/after_conflict.h"
#include "sql/connection.h"

namespace postpone::sql {
namespace {

ScheduleState state_of(const Row& row) {
  ScheduleState state;
  state.task = row.get<std::string>(0);
  state.id = row.get<std::string>(1);
  state.cron = row.get<std::string>(2);
  state.zone = row.get<std::string>(3);
  state.missed = row.get<std::string>(4);
  state.missed_within = Seconds(row.get<double>(5));
  state.queue = row.get<std::string>(6);
  state.priority = row.get<int>(7);
  state.lock = row.get<std::optional<std::string>>(8);
  state.queueing_lock = row.get<std::optional<std::string>>(9);
  state.args = row.get<std::string>(10);
  state.since = row.get<DatabaseTime>(11);
  state.announced_at = row.get<DatabaseTime>(12);
  state.announced_by = row.get<std::string>(13);
  state.silent_for = Seconds(row.get<double>(14));
  state.last_tick = row.get<std::optional<DatabaseTime>>(15);
  state.last_job = row.get<std::optional<JobId>>(16);
  state.paused_at = row.get<std::optional<DatabaseTime>>(17);
  return state;
}

std::string list_statement() {
  return "select s.task_name, s.periodic_id, s.cron, s.zone, s.missed, s.missed_within, s.queue_name, "
         "s.priority,"
         " s.lock, s.queueing_lock, s.args, " +
         microseconds_of("s.since") + ", " + microseconds_of("s.announced_at") + ", s.announced_by, " +
         seconds_since("s.announced_at") + ", " +
         microseconds_of(
             "greatest(s.last_tick,"
             " postpone_moment_of(postpone_last_periodic_defer(s.task_name, s.periodic_id)))") +
         ", s.last_job_id, " + microseconds_of("s.paused_at") +
         " from postpone_schedules s where $1::text is null or s.task_name = $1::text order by 1, 2";
}

}  // namespace

struct Schedules::Impl {
  explicit Impl(const ConnectOptions& options) : connection(options) {}

  Result call(const std::string& function, const std::string& task, const std::string& id) {
    return again_after_conflict([&] {
      return connection.query("select " + function + "($1::text, $2::text)", {task, id});
    });
  }

  Connection connection;
};

Schedules::Schedules(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Schedules::Schedules(Schedules&&) noexcept = default;
Schedules& Schedules::operator=(Schedules&&) noexcept = default;
Schedules::~Schedules() = default;

Schedules Schedules::connect(const ConnectOptions& options) {
  return Schedules(std::make_unique<Impl>(options));
}

std::vector<ScheduleState> Schedules::list(const std::optional<std::string>& task) {
  return each(impl_->connection.query(list_statement(), {task}), state_of);
}

std::int64_t Schedules::now() {
  return impl_->connection.query("select floor(extract(epoch from now()))::bigint")
      .only()
      .get<std::int64_t>(0);
}

bool Schedules::pause(const std::string& task, const std::string& id) {
  return impl_->call("postpone_pause_schedule", task, id).only().get<bool>(0);
}

bool Schedules::resume(const std::string& task, const std::string& id) {
  return impl_->call("postpone_resume_schedule", task, id).only().get<bool>(0);
}

std::optional<JobId> Schedules::run(const std::string& task, const std::string& id) {
  return impl_->call("postpone_run_schedule", task, id).only().get<std::optional<JobId>>(0);
}

std::string Schedules::database() const {
  return impl_->connection.database();
}

}  // namespace postpone::sql

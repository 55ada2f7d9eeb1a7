#include "sql/fleet.h"

#include <array>
#include <utility>

#include "sql/fleet_impl.h"

namespace postpone::sql {
namespace {

constexpr std::array<std::string_view, 10> kStates = {"waiting",   "scheduled", "retrying",  "locked",
                                                      "running",   "stalled",   "succeeded", "failed",
                                                      "cancelled", "aborted"};

State parse_state(std::string_view label) {
  for (std::size_t i = 0; i < kStates.size(); ++i)
    if (kStates.at(i) == label) return static_cast<State>(i);
  throw DatabaseError(Remedy::bug, "a job stands as \"" + std::string(label) + "\", which is no state");
}

// The planner must not walk through a table that may have grown by millions since it was counted, nor gather
// what an index has in its order, of which only the beginning is wanted; nor compile what takes milliseconds. And what a
// page asks is not worth several processes. What is looked up for a few rows is a lateral subquery with a limit: no other
// order of the join is possible then, however alike the planner takes two ways for that it was to avoid.
Statement preparation() {
  std::string sql = "select set_config('transaction_read_only', 'on', true)";
  for (const char* setting :
       {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"})
    sql += std::string(", set_config('") + setting + "', 'off', true)";
  return {sql + ", set_config('max_parallel_workers_per_gather', '0', true)", {}};
}

Statement reading_statement() {
  return {"select " + microseconds_of("now()") +
              ", current_database(), current_setting('server_version'),"
              " coalesce((select max(version) from postpone_migrations), 0)",
          {}};
}

// Arguments may be as long as PostgreSQL stores: fifty of them, in full, could fill the memory of who shows a list.
std::string arguments_column(ArgumentsRead arguments) {
  switch (arguments) {
    case ArgumentsRead::none:
      return "null";
    case ArgumentsRead::beginning:
      return "left(j.args::text, " + std::to_string(kArgumentsInList) + ")";
    case ArgumentsRead::all:
      return "j.args::text";
  }
  return "null";
}

std::string are_cut_column(ArgumentsRead arguments) {
  if (arguments != ArgumentsRead::beginning) return "false";
  return "coalesce(length(j.args::text) > " + std::to_string(kArgumentsInList) + ", false)";
}

}  // namespace

std::string_view to_string(State state) {
  return kStates.at(static_cast<std::size_t>(state));
}

std::vector<Result> Fleet::Impl::read(std::vector<Statement> statements) {
  statements.insert(statements.begin(), {preparation(), reading_statement()});
  std::vector<Result> results = connection.pipeline(statements);
  results.erase(results.begin());
  return results;
}

Reading reading_of(const Row& row) {
  const std::string version = row.get<std::string>(2);
  return {row.get<DatabaseTime>(0), row.get<std::string>(1), version.substr(0, version.find(' ')),
          row.get<int>(3)};
}

std::string bounded(const std::string& from_where_order) {
  return "(select count(*) from (select " + from_where_order + " limit " + std::to_string(kMostCounted + 1) +
         ") counted)";
}

BoundedCount bounded_of(const Row& row, int column, std::int64_t most) {
  const auto count = row.get<std::int64_t>(column);
  return {std::min(count, most), count > most};
}

std::string state_column(std::string_view alias) {
  const std::string j(alias);
  const std::string silent = std::to_string(kSilentWorker.count());
  return "case " + j +
         ".status when 'todo' then case"
         " when exists (select from postpone_claims c where c.job_id = " +
         j + ".id) then 'running' when " + j + ".scheduled_at > now() then case when " + j +
         ".attempts > 0 then 'retrying' else 'scheduled' end"
         " when " +
         j +
         ".parked = 'lock' or exists (select from procrastinate_jobs r where r.status = 'doing' and r.lock "
         "= " +
         j +
         ".lock) then 'locked' else 'waiting' end"
         " when 'doing' then case when exists (select from procrastinate_workers w where w.id = " +
         j + ".worker_id and w.last_heartbeat > now() - interval '" + silent +
         " seconds') then 'running' else 'stalled' end"
         " when 'aborting' then 'aborted' else " +
         j + ".status::text end";
}

State state_at(const Row& row, int column) {
  return parse_state(row.text(column));
}

std::string job_line_columns(ArgumentsRead arguments) {
  return "j.id, j.task_name, j.queue_name, j.priority, j.lock, j.queueing_lock, " +
         arguments_column(arguments) + ", " + state_column("j") + ", " + microseconds_of("j.scheduled_at") +
         ", j.attempts, a.cause::text, coalesce(a.message, ''), a.run_time, " + microseconds_of("e.at") +
         ", coalesce(o.name, ''), " + are_cut_column(arguments);
}

// Each of them is a few index probes for each job that is shown.
std::string job_line_joins() {
  return " left join lateral (select a.* from postpone_attempts a where a.job_id = j.id"
         "   order by a.attempt desc limit 1) a on true"
         " left join lateral (select max(e.at) as at from procrastinate_events e where e.job_id = j.id"
         "   and e.job_id between j.id and j.id) e on true"
         " left join lateral (select o.* from postpone_workers o where o.worker_id = coalesce(j.worker_id,"
         "   (select c.worker_id from postpone_claims c where c.job_id = j.id)) limit 1) o on true";
}

FleetJob job_line_of(const Row& row) {
  FleetJob job;
  job.id = row.get<JobId>(0);
  job.task = row.get<std::string>(1);
  job.queue = row.get<std::string>(2);
  job.priority = row.get<int>(3);
  job.lock = row.get<std::optional<std::string>>(4);
  job.queueing_lock = row.get<std::optional<std::string>>(5);
  job.args = row.get<std::optional<std::string>>(6);
  job.state = state_at(row, 7);
  job.scheduled_at = row.get<std::optional<DatabaseTime>>(8);
  job.attempts = row.get<int>(9);
  job.cause = row.get<std::optional<std::string>>(10);
  job.message = row.get<std::string>(11);
  job.run_time = seconds_at(row, 12);
  job.last_event_at = row.get<std::optional<DatabaseTime>>(13);
  job.worker = row.get<std::string>(14);
  job.args_are_cut = row.get<bool>(15);
  return job;
}

std::string in_line_columns(std::string_view alias) {
  const std::string j(alias);
  return j + ".id, " + j + ".task_name, " + state_column(alias) + ", " + microseconds_of(j + ".scheduled_at");
}

InLine in_line_of(const Row& row, int first) {
  return {row.get<JobId>(first), row.get<std::string>(first + 1), state_at(row, first + 2),
          row.get<std::optional<DatabaseTime>>(first + 3)};
}

Fleet::Fleet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Fleet::Fleet(Fleet&&) noexcept = default;
Fleet& Fleet::operator=(Fleet&&) noexcept = default;
Fleet::~Fleet() = default;

bool Fleet::hides_arguments() const {
  return impl_->hide_arguments;
}

Fleet Fleet::connect(const ConnectOptions& options, bool hide_arguments) {
  return Fleet(std::make_unique<Impl>(options, hide_arguments));
}

}  // namespace postpone::sql

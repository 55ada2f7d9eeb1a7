#include "sql/overview.h"

#include <algorithm>
#include <map>

#include "sql/connection.h"
#include "sql/overview_rows.h"

namespace postpone::sql {
namespace {

std::string runs_where(const std::string& condition) {
  return "select " + run_columns() + " from procrastinate_jobs j" + kRunTables +
         " where j.status = 'doing' and " + condition + " order by j.id";
}

// ---- tallies -------------------------------------------------------------------------------------

// " and j.queue_name = $1", and its parameters.
struct Condition {
  std::string sql;
  std::vector<Parameter> parameters;

  void equals(const std::string& column, const std::optional<std::string>& value) {
    if (!value) return;
    parameters.emplace_back(*value);
    sql += " and " + column + " = $" + std::to_string(parameters.size());
  }
};

Condition condition_of(const TallyFilter& filter) {
  Condition condition;
  condition.equals("j.queue_name", filter.queue);
  condition.equals("j.task_name", filter.task);
  return condition;
}

// To find the job that has waited longest one would have to read the events of all waiting jobs. Instead we
// compare three: the lowest id among jobs that were never tried, the lowest id among jobs that were tried and
// wait again without a time, and the job whose time came first.
Statement live_statement(const std::string& column, const Condition& condition) {
  const std::string sql =
      "with live as ("
      " select " +
      column +
      " as name, count(*) filter (where j.status = 'todo') as todo,"
      "  count(*) filter (where j.status = 'todo' and j.scheduled_at > now()) as scheduled,"
      "  count(*) filter (where j.status = 'doing') as doing,"
      "  min(j.id) filter (where j.status = 'todo' and j.scheduled_at is null and j.attempts = 0) as "
      "first_new,"
      "  min(j.id) filter (where j.status = 'todo' and j.scheduled_at is null and j.attempts > 0) as again,"
      "  min(j.scheduled_at) filter (where j.status = 'todo' and j.scheduled_at <= now()) as first_due"
      " from (select * from procrastinate_jobs j where j.status = 'todo'" +
      condition.sql + " union all select * from procrastinate_jobs j where j.status = 'doing'" +
      condition.sql +
      ") j group by 1)"
      " select live.name, live.todo, live.scheduled, live.doing, oldest.id, oldest.waiting"
      " from live left join lateral ("
      "  select c.id, " +
      seconds_since("greatest(c.scheduled_at, since.at)") +
      " as waiting from ("
      "   select j.id, j.scheduled_at from procrastinate_jobs j where j.id in (live.first_new, live.again)"
      "   union all ("
      "    select j.id, j.scheduled_at from procrastinate_jobs j"
      "    where j.status = 'todo' and j.scheduled_at = live.first_due and " +
      column + " = live.name" + condition.sql +
      "    limit 1)) c"
      "  left join lateral ("
      "   select max(e.at) as at from procrastinate_events e"
      "   where e.job_id = c.id and e.type in ('deferred', 'deferred_for_retry', 'retried')) since on true"
      "  order by waiting desc nulls last limit 1) oldest on true";
  return {sql, condition.parameters};
}

Tally tally_of(const Row& row) {
  Tally tally;
  tally.name = row.get<std::string>(0);
  tally.todo = row.get<std::int64_t>(1);
  tally.scheduled = row.get<std::int64_t>(2);
  tally.doing = row.get<std::int64_t>(3);
  if (!row.is_null(4)) tally.oldest = {row.get<JobId>(4), seconds_at(row, 5).value_or(Seconds(0))};
  return tally;
}

Statement ended_statement(const std::string& column, const Condition& condition) {
  return {"select " + column +
              ", count(*) filter (where j.status = 'succeeded'), count(*) filter (where j.status = 'failed'),"
              " count(*) filter (where j.status = 'cancelled'),"
              " count(*) filter (where j.status in ('aborted', 'aborting'))"
              " from procrastinate_jobs j where j.status not in ('todo', 'doing')" +
              condition.sql + " group by 1",
          condition.parameters};
}

Tally::Ended ended_of(const Row& row) {
  return {row.get<std::int64_t>(1), row.get<std::int64_t>(2), row.get<std::int64_t>(3),
          row.get<std::int64_t>(4)};
}

// ---- locks ---------------------------------------------------------------------------------------

Statement locks_statement(const LockFilter& filter) {
  Condition condition;
  condition.equals("j.lock", filter.lock);
  const std::string sql =
      "with held as ("
      " select j.lock, j.id from procrastinate_jobs j where j.status = 'doing' and j.lock is not null" +
      condition.sql +
      "), waiting as ("
      " select j.lock, count(*) as jobs from procrastinate_jobs j"
      " where j.status = 'todo' and j.lock is not null" +
      condition.sql +
      " group by j.lock), known as ("
      " select coalesce(held.lock, waiting.lock) as lock, held.id as holder, coalesce(waiting.jobs, 0) as "
      "jobs"
      " from waiting " +
      (filter.held ? "right" : "full") +
      " join held on held.lock = waiting.lock"
      " order by held.id is null, jobs desc, lock" +
      (filter.limit ? " limit " + std::to_string(*filter.limit) : "") +
      ")"
      " select known.lock, known.jobs, next.id, next.task_name, next.queue_name, " +
      microseconds_of("next.scheduled_at") + ", coalesce(next.scheduled_at <= now(), true), " +
      run_columns() +
      " from known"
      " left join lateral ("
      "  select n.id, n.task_name, n.queue_name, n.scheduled_at from procrastinate_jobs n"
      "  where n.status = 'todo' and n.lock = known.lock order by n.priority desc, n.id limit 1) next on true"
      " left join procrastinate_jobs j on j.id = known.holder and j.status = 'doing'" +
      kRunTables + " order by known.holder is null, known.jobs desc, known.lock";
  return {sql, condition.parameters};
}

LockState lock_of(const Row& row) {
  LockState state;
  state.lock = row.get<std::string>(0);
  state.waiting = row.get<std::int64_t>(1);
  if (!row.is_null(2)) {
    state.next = row.get<JobId>(2);
    state.next_task = row.get<std::string>(3);
    state.next_queue = row.get<std::string>(4);
    state.next_scheduled_at = row.get<std::optional<DatabaseTime>>(5);
    state.next_due = row.get<bool>(6);
  }
  if (!row.is_null(7)) state.holder = run_of(row, 7);
  return state;
}

// ---- standing ------------------------------------------------------------------------------------

// Of job j: whether b comes before it, in the order in which a fetch walks.
constexpr const char* kBefore = "(b.priority > j.priority or b.priority = j.priority and b.id < j.id)";

std::string count_up_to_many(const std::string& condition) {
  return "(select count(*) from (select from procrastinate_jobs b where b.status = 'todo' and " + condition +
         " and " + kBefore + " limit " + std::to_string(Standing::kMany) + ") counted)";
}

std::string standing_sql() {
  return "select j.status, case when j.scheduled_at > now() then -(" + seconds_since("j.scheduled_at") +
         ") end, ahead.id, ahead.queue_name, " +
         microseconds_of("case when ahead.scheduled_at > now() then ahead.scheduled_at end") + ", " +
         count_up_to_many("b.lock = j.lock") + ", " +
         count_up_to_many(
             "b.queue_name = j.queue_name and b.parked is distinct from 'lock'"
             " and (b.scheduled_at is null or b.scheduled_at <= now())") +
         " from procrastinate_jobs j left join lateral ("
         "  select b.id, b.queue_name, b.scheduled_at from procrastinate_jobs b"
         "  where j.status = 'todo' and b.status = 'todo' and b.lock = j.lock and " +
         kBefore +
         "  order by b.priority desc, b.id limit 1) ahead on true"
         " where j.id = $1::bigint";
}

Standing standing_of(const Row& row) {
  Standing standing;
  const std::string_view label = row.text(0);
  const auto status = parse_job_status(label);
  if (!status) {
    throw DatabaseError(Remedy::bug, "the database sent the label \"" + std::string(label) +
                                         "\", which this program does not know");
  }
  standing.status = *status;
  if (*status != JobStatus::todo) return standing;
  standing.due_in = seconds_at(row, 1);
  if (!row.is_null(2)) {
    standing.ahead =
        Ahead{row.get<JobId>(2), row.get<std::string>(3), row.get<std::optional<DatabaseTime>>(4)};
  }
  standing.ahead_in_lock = row.get<std::int64_t>(5);
  standing.ahead_in_queue = row.get<std::int64_t>(6);
  return standing;
}

}  // namespace

std::optional<Seconds> seconds_at(const Row& row, int column) {
  const auto value = row.get<std::optional<double>>(column);
  if (!value) return std::nullopt;
  return Seconds(*value);
}

// ---- leases and runs -----------------------------------------------------------------------------

std::string lease_columns() {
  return "w.id, o.worker_id is null, coalesce(o.name, ''), coalesce(o.host, ''), coalesce(o.supervisor, ''),"
         " coalesce(o.pid, 0), " +
         microseconds_of("o.registered_at") + ", " + microseconds_of("w.last_heartbeat") + ", " +
         seconds_since("w.last_heartbeat");
}

Lease lease_of(const Row& row, int first) {
  Lease lease;
  lease.id = row.get<WorkerId>(first);
  lease.foreign = row.get<bool>(first + 1);
  lease.name = row.get<std::string>(first + 2);
  lease.host = row.get<std::string>(first + 3);
  lease.supervisor = row.get<std::string>(first + 4);
  lease.pid = row.get<int>(first + 5);
  lease.registered_at = row.get<std::optional<DatabaseTime>>(first + 6);
  lease.last_heartbeat = row.get<DatabaseTime>(first + 7);
  lease.silent_for = Seconds(row.get<double>(first + 8));
  return lease;
}

std::string run_columns() {
  return "j.id, j.task_name, j.queue_name, j.lock, postpone_next_attempt(j.attempts), " +
         microseconds_of("started.at") + ", " + seconds_since("started.at") + ", " + lease_columns();
}
constexpr int kRunColumns = 7 + kLeaseColumns;

DoingJob run_of(const Row& row, int first) {
  DoingJob run;
  run.job_id = row.get<JobId>(first);
  run.task = row.get<std::string>(first + 1);
  run.queue = row.get<std::string>(first + 2);
  run.lock = row.get<std::optional<std::string>>(first + 3);
  run.attempt = row.get<int>(first + 4);
  run.started_at = row.get<std::optional<DatabaseTime>>(first + 5);
  run.running_for = seconds_at(row, first + 6);
  if (!row.is_null(first + 7)) run.lease = lease_of(row, first + 7);
  return run;
}

struct Overview::Impl {
  explicit Impl(const ConnectOptions& options) : connection(options) {}
  Connection connection;
};

Overview::Overview(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Overview::Overview(Overview&&) noexcept = default;
Overview& Overview::operator=(Overview&&) noexcept = default;
Overview::~Overview() = default;

Overview Overview::connect(const ConnectOptions& options) {
  return Overview(std::make_unique<Impl>(options));
}

std::vector<Tally> Overview::tallies(By by, const TallyFilter& filter, bool count_ended) {
  const std::string column = by == By::queue ? "j.queue_name" : "j.task_name";
  std::vector<Statement> statements = {live_statement(column, condition_of(filter))};
  if (count_ended) statements.push_back(ended_statement(column, condition_of(filter)));
  const std::vector<Result> results = impl_->connection.pipeline(statements);

  std::map<std::string, Tally> by_name;
  for (const Row row : results.front()) {
    Tally tally = tally_of(row);
    if (count_ended) tally.ended = Tally::Ended();
    by_name.emplace(tally.name, std::move(tally));
  }
  if (count_ended) {
    for (const Row row : results.back()) {
      Tally& tally = by_name[row.get<std::string>(0)];
      tally.name = row.get<std::string>(0);
      tally.ended = ended_of(row);
    }
  }
  std::vector<Tally> tallies;
  for (auto& [name, tally] : by_name) tallies.push_back(std::move(tally));
  return tallies;
}

std::vector<LockState> Overview::locks(const LockFilter& filter) {
  return each(impl_->connection.pipeline({locks_statement(filter)}).front(), lock_of);
}

std::vector<WorkerState> Overview::workers() {
  const std::vector<Result> results = impl_->connection.pipeline(
      {{"select " + lease_columns() +
            " from procrastinate_workers w left join postpone_workers o on o.worker_id = w.id"
            " order by o.worker_id is null, o.supervisor, w.id",
        {}},
       {runs_where("true"), {}}});
  std::map<WorkerId, std::vector<DoingJob>> runs;
  for (const Row row : results[1]) {
    DoingJob run = run_of(row);
    if (run.lease) runs[run.lease->id].push_back(std::move(run));
  }
  return each(results[0], [&runs](const Row& row) {
    Lease lease = lease_of(row, 0);
    std::vector<DoingJob> of_it = std::move(runs[lease.id]);
    return WorkerState{std::move(lease), std::move(of_it)};
  });
}

std::optional<Standing> Overview::standing(JobId id) {
  const std::vector<Result> results = impl_->connection.pipeline(
      {{standing_sql(), {to_parameter(id)}},
       {runs_where("(j.id = $1::bigint or j.lock = (select waiting.lock from procrastinate_jobs waiting"
                   "                                where waiting.id = $1::bigint and waiting.status = "
                   "'todo'))"),
        {to_parameter(id)}}});
  if (results[0].empty()) return std::nullopt;
  Standing standing = standing_of(results[0].only());
  for (const Row row : results[1]) {
    DoingJob run = run_of(row);
    (run.job_id == id ? standing.run : standing.holder) = std::move(run);
  }
  return standing;
}

}  // namespace postpone::sql

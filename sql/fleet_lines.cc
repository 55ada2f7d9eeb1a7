// What waits in each queue and behind each lock, and how tasks have done.
#include <algorithm>
#include <map>
#include <utility>

#include "sql/fleet_impl.h"

namespace postpone::sql {
namespace {

constexpr int kMostQueues = 200;
constexpr int kMostInLine = 1'000;  // counted behind one lock
constexpr int kParkedSample = 5'000;
constexpr int kTaskSample = 10'000;

// ---- queues --------------------------------------------------------------------------------------

// One probe of the index for each queue that has jobs, then the front of its line. All queues together count
// 30,000 jobs at most.
Statement queues_statement() {
  const std::string front = " from procrastinate_jobs j where j.status = 'todo' and j.parked is null";
  const std::string order = " order by j.queue_name, (-j.priority::bigint), j.id limit 1";
  const std::string is_due = "(j.scheduled_at is null or j.scheduled_at <= now())";
  return {"with recursive name as ((select j.queue_name as name" + front + order +
              ") union all select (select j.queue_name" + front + " and j.queue_name > name.name" + order +
              ") from name where name.name is not null), queue as materialized ("
              " select name from name where name is not null limit " +
              std::to_string(kMostQueues + 1) + "), most as (select greatest(200, least(" +
              std::to_string(kMostCounted) +
              ", 30000 / greatest(1, count(*))))::int as n from queue)"
              " select queue.name, most.n, line.ready, line.later, head.id, head.task_name,"
              "  postpone_waited(head.id, head.scheduled_at)"
              " from queue cross join most cross join lateral ("
              "  select count(*) filter (where is_due) as ready, count(*) filter (where not is_due) as later"
              "  from (select " +
              is_due + " as is_due" + front +
              " and j.queue_name = queue.name order by j.queue_name, (-j.priority::bigint), j.id limit "
              "(select n + 1 from most)) waiting) line"
              " left join lateral (select j.id, j.task_name, j.scheduled_at" +
              front + " and j.queue_name = queue.name and " + is_due + order + ") head on true",
          {}};
}

// Parked jobs are in no index by queue: some of them stand for all.
Statement parked_statement() {
  return {
      "select queue_name, count(*) filter (where parked = 'time'), count(*) filter (where parked = 'lock'),"
      "  bool_or(is_full) from ("
      " (select queue_name, parked, count(*) over () = " +
          std::to_string(kParkedSample) +
          " as is_full from (select queue_name, parked from procrastinate_jobs where status = 'todo'"
          "  and parked = 'time' order by coalesce(scheduled_at, '-infinity') limit " +
          std::to_string(kParkedSample) +
          ") later) union all (select queue_name, parked, count(*) over () = " +
          std::to_string(kParkedSample) +
          " from (select queue_name, parked from procrastinate_jobs where status = 'todo' and parked = 'lock'"
          "  order by lock limit " +
          std::to_string(kParkedSample) + ") locked)) parked group by 1",
      {}};
}

Statement running_statement(const std::string& column) {
  return {"select j." + column +
              ", count(*) from (select id, queue_name, task_name from procrastinate_jobs where"
              " status = 'doing' union all select r.id, r.queue_name, r.task_name from postpone_claims c"
              " cross join lateral (select r.* from procrastinate_jobs r where r.id = c.job_id"
              "   and r.status = 'todo' limit 1) r) j group by 1",
          {}};
}

// Who is alive, and which queues they serve; no name: all queues. Of workers of Python nothing is known.
Statement served_statement() {
  return {
      "select coalesce(served.name, ''), o.worker_id is null, count(*) from procrastinate_workers w"
      " left join postpone_workers o on o.worker_id = w.id"
      " left join lateral unnest(o.queues) served (name) on true"
      " where w.last_heartbeat > now() - make_interval(secs => $1::double precision) group by 1, 2",
      {to_parameter(kSilentWorker.count())}};
}

using QueuesByName = std::map<std::string, QueueLine>;

QueueLine& line_called(QueuesByName& lines, const std::string& name) {
  QueueLine& line = lines[name];
  line.name = name;
  return line;
}

void read_queues(const Result& result, QueuesByName& lines) {
  for (const Row row : result) {
    QueueLine& line = line_called(lines, row.get<std::string>(0));
    const auto most = row.get<std::int64_t>(1);
    const auto later = row.get<std::int64_t>(3);
    const bool is_more = row.get<std::int64_t>(2) + later > most;
    line.ready = {row.get<std::int64_t>(2), is_more};
    line.scheduled = {later, is_more && later > 0};
    line.next = row.get<std::optional<JobId>>(4);
    line.next_task = row.get<std::optional<std::string>>(5).value_or("");
    line.next_waits = seconds_at(row, 6);
  }
}

void add_parked(const Result& result, QueuesByName& lines) {
  for (const Row row : result) {
    QueueLine& line = line_called(lines, row.get<std::string>(0));
    line.scheduled.count += row.get<std::int64_t>(1);
    line.locked.count += row.get<std::int64_t>(2);
    if (!row.get<bool>(3)) continue;
    line.scheduled.is_more = line.scheduled.is_more || line.scheduled.count > 0;
    line.locked.is_more = line.locked.count > 0;
  }
}

std::int64_t add_served(const Result& result, QueuesByName& lines) {
  std::int64_t of_all = 0;
  std::int64_t foreign = 0;
  for (const Row row : result) {
    const auto workers = row.get<std::int64_t>(2);
    if (row.get<bool>(1))
      foreign += workers;
    else if (row.text(0).empty())
      of_all += workers;
    else
      line_called(lines, row.get<std::string>(0)).workers += workers;
  }
  for (auto& [name, line] : lines) line.workers += of_all;
  return foreign;
}

// ---- tasks ---------------------------------------------------------------------------------------

Statement attempts_by_task_statement() {
  return {
      "select j.task_name, count(*), count(*) filter (where a.cause not in ('succeeded', 'aborted', "
      "'finished_by_hand')),"
      " percentile_cont(0.5) within group (order by a.run_time),"
      " percentile_cont(0.95) within group (order by a.run_time), max(a.max_rss), " +
          microseconds_of("max(a.ended_at)") +
          " from (select a.* from postpone_attempts a order by a.job_id desc, a.attempt desc limit " +
          std::to_string(kTaskSample) +
          ") a cross join lateral (select j.task_name from procrastinate_jobs j where j.id = a.job_id limit "
          "1) j"
          " group by 1",
      {}};
}

Statement waiting_by_task_statement() {
  return {
      "select j.task_name, count(*) filter (where j.status = 'todo'), count(*)"
      " from (select j.task_name, j.status from procrastinate_jobs j order by j.id desc limit " +
          std::to_string(kTaskSample) + ") j group by 1",
      {}};
}

TaskLine task_of(const Row& row) {
  TaskLine line;
  line.name = row.get<std::string>(0);
  line.attempts = row.get<std::int64_t>(1);
  line.ended_badly = row.get<std::int64_t>(2);
  line.median = seconds_at(row, 3);
  line.slow = seconds_at(row, 4);
  line.memory = row.get<std::optional<std::int64_t>>(5);
  line.last = row.get<std::optional<DatabaseTime>>(6);
  return line;
}

// ---- locks ---------------------------------------------------------------------------------------

// Held locks, and those for which a fetch has found a job waiting: of these one probe of the index each.
Statement locks_statement_of(const std::optional<std::string>& lock, int most) {
  const std::string parked = " from procrastinate_jobs j where j.status = 'todo' and j.parked = 'lock'";
  return {"with recursive name as ((select j.lock as name" + parked +
              " order by j.lock limit 1) union all"
              " select (select j.lock" +
              parked +
              " and j.lock > name.name order by j.lock limit 1) from name where name.name is not null),"
              " held as materialized (select j.lock as name, j.id from procrastinate_jobs j"
              "  where j.status = 'doing' and j.lock is not null order by j.lock limit " +
              std::to_string(most + 1) +
              "), known as materialized (select name from held union"
              "  (select name from name where name is not null limit " +
              std::to_string(most + 1) +
              ") union select $1::text where $1::text is not null)"
              " select known.name, (select count(*) from (select from procrastinate_jobs j where j.status = "
              "'todo'"
              "   and j.lock = known.name order by j.lock, j.priority desc, j.id limit " +
              std::to_string(kMostInLine + 1) +
              ") line), holder.*, next.* from known"
              " left join lateral (select " +
              in_line_columns("j") +
              ", coalesce((select o.name from postpone_workers o where o.worker_id = j.worker_id), ''), " +
              seconds_since("(select max(e.at) from procrastinate_events e where e.job_id = j.id"
                            " and e.job_id between j.id and j.id and e.type = 'started')") +
              " from procrastinate_jobs j where j.status = 'doing' and j.lock = known.name limit 1) holder "
              "on true"
              " left join lateral (select " +
              in_line_columns("j") +
              " from procrastinate_jobs j where j.status = 'todo' and j.lock = known.name"
              "  order by j.lock, j.priority desc, j.id limit 1) next on true"
              " where $1::text is null or known.name = $1::text order by 2 desc, 1",
          {lock}};
}

LockLine lock_line_of(const Row& row) {
  LockLine line;
  line.lock = row.get<std::string>(0);
  line.waiting = bounded_of(row, 1, kMostInLine);
  if (!row.is_null(2)) {
    line.holder = in_line_of(row, 2);
    line.holder_worker = row.get<std::string>(6);
    line.held_for = seconds_at(row, 7);
  }
  if (!row.is_null(8)) line.next = in_line_of(row, 8);
  return line;
}

Statement waiting_for_statement(const std::optional<std::string>& lock) {
  return {"select " + in_line_columns("j") +
              " from procrastinate_jobs j where j.status = 'todo' and j.lock = $1::text"
              " order by j.lock, j.priority desc, j.id limit 50",
          {lock}};
}

}  // namespace

QueuesPage Fleet::queues() {
  const std::vector<Result> results = impl_->read(
      {queues_statement(), parked_statement(), running_statement("queue_name"), served_statement()});
  QueuesPage page;
  page.reading = reading_of(results[0].only());
  QueuesByName lines;
  read_queues(results[1], lines);
  page.is_more = results[1].rows() > kMostQueues;
  add_parked(results[2], lines);
  for (const Row row : results[3])
    line_called(lines, row.get<std::string>(0)).running = row.get<std::int64_t>(1);
  page.foreign_workers = add_served(results[4], lines);
  for (auto& [name, line] : lines) page.queues.push_back(std::move(line));
  return page;
}

TasksPage Fleet::tasks() {
  const std::vector<Result> results = impl_->read(
      {attempts_by_task_statement(), waiting_by_task_statement(), running_statement("task_name")});
  TasksPage page;
  page.reading = reading_of(results[0].only());
  std::map<std::string, TaskLine> lines;
  for (const Row row : results[1]) lines[row.get<std::string>(0)] = task_of(row);
  for (const Row row : results[2]) {
    lines[row.get<std::string>(0)].waiting = row.get<std::int64_t>(1);
    page.looked_at += row.get<std::int64_t>(2);
  }
  for (const Row row : results[3]) lines[row.get<std::string>(0)].running = row.get<std::int64_t>(1);
  for (auto& [name, line] : lines) {
    line.name = name;
    page.tasks.push_back(std::move(line));
  }
  return page;
}

LocksPage Fleet::locks(const std::optional<std::string>& lock, int most) {
  const std::vector<Result> results =
      impl_->read({locks_statement_of(lock, most), waiting_for_statement(lock)});
  LocksPage page;
  page.reading = reading_of(results[0].only());
  page.locks = each(results[1], lock_line_of);
  page.is_more = page.locks.size() > static_cast<std::size_t>(most);
  if (page.is_more) page.locks.resize(static_cast<std::size_t>(most));
  if (lock) page.line = each(results[2], [](const Row& row) { return in_line_of(row, 0); });
  return page;
}

}  // namespace postpone::sql

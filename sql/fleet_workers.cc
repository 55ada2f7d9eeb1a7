// Who works, and what ticks.
#include <map>
#include <utility>

#include "sql/fleet_impl.h"
#include "sql/overview_rows.h"

namespace postpone::sql {
namespace {

constexpr int kMostWorkers = 2'000;

Statement leases_statement() {
  return {"select " + lease_columns() +
              ", coalesce(array_to_string(o.queues, e'\\n'), '') from procrastinate_workers w"
              " left join postpone_workers o on o.worker_id = w.id"
              " order by o.worker_id is null, o.host, o.supervisor, w.id limit " +
              std::to_string(kMostWorkers),
          {}};
}

// A claimed job runs, too, from the moment of its claim on.
Statement runs_statement() {
  return {"select " + run_columns() +
              " from (select j.* from procrastinate_jobs j where j.status = 'doing' order by j.lock limit "
              "5000) j" +
              kRunTables + " order by j.id",
          {}};
}

Statement claimed_statement() {
  return {
      "select j.id, j.task_name, j.queue_name, j.lock, postpone_next_attempt(j.attempts), " +
          microseconds_of("c.claimed_at") + ", " + seconds_since("c.claimed_at") + ", " + lease_columns() +
          " from (select c.* from postpone_claims c order by c.claimed_at, c.job_id limit 5000) c"
          " cross join lateral (select j.* from procrastinate_jobs j where j.id = c.job_id and j.status = "
          "'todo'"
          "   limit 1) j"
          " cross join lateral (select w.* from procrastinate_workers w where w.id = c.worker_id limit 1) w"
          " left join lateral (select o.* from postpone_workers o where o.worker_id = w.id limit 1) o on "
          "true",
      {}};
}

std::vector<std::string> lines_of(std::string text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.erase(0, end + 1);
  }
  return lines;
}

Statement schedules_statement() {
  return {"select s.task_name, s.periodic_id, s.cron, s.zone, s.queue_name, " +
              microseconds_of("greatest(s.last_tick, postpone_moment_of("
                              "postpone_last_periodic_defer(s.task_name, s.periodic_id)))") +
              ", s.last_job_id, case when j.id is not null then " + state_column("j") + " end, " +
              microseconds_of("s.paused_at") + ", s.announced_by, " + seconds_since("s.announced_at") +
              " from postpone_schedules s left join lateral (select j.* from procrastinate_jobs j where j.id "
              "= s.last_job_id limit 1) j on true order by 1, "
              "2 limit 500",
          {}};
}

FleetSchedule schedule_of(const Row& row) {
  FleetSchedule schedule;
  schedule.task = row.get<std::string>(0);
  schedule.id = row.get<std::string>(1);
  schedule.cron = row.get<std::string>(2);
  schedule.zone = row.get<std::string>(3);
  schedule.queue = row.get<std::string>(4);
  schedule.last_tick = row.get<std::optional<DatabaseTime>>(5);
  schedule.last_job = row.get<std::optional<JobId>>(6);
  if (!row.is_null(7)) schedule.last_state = state_at(row, 7);
  schedule.paused_at = row.get<std::optional<DatabaseTime>>(8);
  schedule.served_by = row.get<std::string>(9);
  schedule.silent_for = Seconds(row.get<double>(10));
  return schedule;
}

}  // namespace

WorkersPage Fleet::workers() {
  const std::vector<Result> results =
      impl_->read({leases_statement(), runs_statement(), claimed_statement()});
  WorkersPage page;
  page.reading = reading_of(results[0].only());
  std::map<WorkerId, std::vector<DoingJob>> runs;
  for (const Result* result : {&results[2], &results[3]}) {
    for (const Row row : *result) {
      DoingJob run = run_of(row);
      if (run.lease)
        runs[run.lease->id].push_back(std::move(run));
      else
        page.orphans.push_back(std::move(run));
    }
  }
  for (const Row row : results[1]) {
    Lease lease = lease_of(row, 0);
    std::vector<DoingJob> of_it = std::move(runs[lease.id]);
    page.queues.push_back(lines_of(row.get<std::string>(kLeaseColumns)));
    page.workers.push_back({std::move(lease), std::move(of_it)});
  }
  return page;
}

SchedulesPage Fleet::schedules() {
  const std::vector<Result> results = impl_->read({schedules_statement()});
  return {reading_of(results[0].only()), each(results[1], schedule_of)};
}

}  // namespace postpone::sql

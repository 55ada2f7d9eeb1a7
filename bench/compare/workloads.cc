#include "bench/compare/workloads.h"

#include "bench/compare/field.h"
#include "bench/compare/floors.h"
#include "bench/compare/own.h"
#include "bench/compare/shapes.h"
#include "bench/compare/strangers.h"

namespace postpone::bench {
namespace {

using Asked = Load::Asked;

const Measure kJobsPerSecond = {"jobs_per_s", "jobs a second"};
const Measure kCpuPerJob = {"cpu_us_per_job", "processor time of its own processes, µs a job", false};
const std::vector<Measure> kTimes = {{"p50_ms", "p50, ms", false},
                                     {"p90_ms", "p90, ms", false},
                                     {"p99_ms", "p99, ms", false},
                                     {"max_ms", "max, ms", false}};

template <typename Floor, typename... Arguments>
void add(Contenders& contenders, Arguments&&... arguments) {
  contenders.push_back(std::make_unique<Floor>(std::forward<Arguments>(arguments)...));
}

Workload noop(int concurrency, const Extent& extent) {
  const std::string number = std::to_string(concurrency);
  return {.name = "noop-" + number,
          .title = "waiting no-op jobs, " + number + " at a time",
          .load = {.asked = Asked::backlog, .jobs = 60'000, .concurrency = concurrency},
          .measures = {kJobsPerSecond, kCpuPerJob},
          .bases = {kGraphileBest, kSameSqlInSets},
          .contenders =
              [=] {
                Contenders field = queues(extent.with_peers ? Peers::all : Peers::none, Pace::by_speed);
                add_own(field, {Keeping::history, Keeping::as_peers});
                add_same_sql(field, kSameSqlInSets);
                return field;
              },
          .is_in_guard = concurrency == 10};
}

Workload one_at_a_time(const Extent& extent) {
  return {.name = "single-10",
          .title = "waiting no-op jobs, 10 at a time, each fetched and recorded by itself",
          .load = {.asked = Asked::backlog, .jobs = 60'000, .concurrency = 10},
          .measures = {kJobsPerSecond, kCpuPerJob},
          .bases = {kGraphilePlain, kSameSqlOneByOne},
          .contenders =
              [=] {
                Contenders field = queues(extent.with_peers ? Peers::plain : Peers::none, Pace::by_speed);
                add_own(field, {Keeping::history_one_by_one});
                add_same_sql(field, kSameSqlOneByOne);
                return field;
              },
          .is_in_guard = true};
}

Workload own_locks(const Extent& extent) {
  return {.name = "locks-10",
          .title = "waiting no-op jobs, 10 at a time, each with a lock of its own",
          .load = {.asked = Asked::backlog, .jobs = 60'000, .concurrency = 10, .own_locks = true},
          .measures = {kJobsPerSecond, kCpuPerJob},
          .bases = {kGraphileUnlocked, kSameSqlInSets},
          .contenders = [=] {
            Contenders field = queues(extent.with_peers ? Peers::all : Peers::none, Pace::by_speed);
            if (extent.with_peers) add_unlocked_graphile(field);
            add_own(field, {Keeping::history, Keeping::as_peers});
            add_same_sql(field, kSameSqlInSets);
            return field;
          }};
}

// Jobs that take time, beside what a queue that costs nothing would do.
Workload timed(const std::string& name, const std::string& title, const Load& load, const Extent& extent) {
  return {.name = name,
          .title = title,
          .load = load,
          .measures = {kJobsPerSecond, kCpuPerJob},
          .bases = {"ideal"},
          .contenders =
              [=] {
                Contenders field = queues(extent.with_peers ? Peers::all : Peers::none, Pace::by_speed);
                add_own(field, {Keeping::history, Keeping::as_peers});
                add<Ideal>(field);
                return field;
              },
          .is_in_guard = name == "ms10-8"};
}

Workload latency(const Extent& extent) {
  return {.name = "latency",
          .title = "jobs that come to an idle queue: from the commit to the handler",
          .load = {.asked = Asked::arrivals, .jobs = 200, .concurrency = 10},
          .measures = kTimes,
          .bases = {kBestPeer, "bare NOTIFY"},
          .contenders =
              [=] {
                Contenders field = queues(extent.with_peers ? Peers::all : Peers::none, Pace::by_wait);
                add_own(field, {Keeping::history});
                add<BareNotify>(field);
                add<Flush>(field);
                return field;
              },
          .is_in_guard = true};
}

Workload defer(const std::string& name, const std::string& title, const Load& load, const Extent& extent) {
  return {.name = name,
          .title = title,
          .load = load,
          .measures = {kJobsPerSecond},
          .bases = {"INSERT without triggers"},
          .contenders =
              [=] {
                Contenders field = queues(extent.with_peers ? Peers::plain : Peers::none, Pace::all_jobs);
                add_own(field, {Keeping::history});
                add<PlainInsert>(field);
                return field;
              },
          .is_in_guard = load.asked == Asked::batch};
}

Workload rest(const Extent& extent) {
  return {.name = "rest",
          .title = "idle workers, 8 at a time; memory of one sub-worker, and of a peer's whole process",
          .load = {.asked = Asked::rest, .concurrency = 8, .seconds = 10},
          .measures = {{"cpu_percent", "processor, % of a core", false},
                       {"private_mib", "private memory, MiB", false}},
          .bases = {},
          .contenders = [=] {
            Contenders field = queues(extent.with_peers ? Peers::plain : Peers::none, Pace::all_jobs);
            add_own(field, {Keeping::history});
            return field;
          }};
}

std::string thousands(int rows) {
  return rows < 1'000'000 ? std::to_string(rows / 1000) + " k rows"
                          : std::to_string(rows / 1'000'000) + " M rows";
}

Workload fetch_behind(const Shape& shape, const Extent& extent) {
  const std::string base = "1 k plain waiting jobs";
  return {.name = "fetch-" + shape.name,
          .title = "a fetch of one job, before which lie " + shape.title,
          .load = {.jobs = 50},
          .measures = {kTimes.front(), kTimes.back()},
          .bases = {base},
          .contenders =
              [=] {
                Contenders field;
                add<FetchBehind>(field, Contender::About{base, "", Kind::floor}, Shape{}, 0);
                // What has ended under a snapshot must have run: a million jobs would take minutes.
                const int most = shape.under_snapshot ? extent.most_rows / 10 : extent.most_rows;
                for (int rows = 1000; rows <= most; rows *= 10)
                  add<FetchBehind>(field, Contender::About{thousands(rows), ""}, shape, rows);
                return field;
              },
          .is_in_guard = shape.name == "one-lock"};
}

Workload old_snapshot(const Extent& extent) {
  return {.name = "old-snapshot",
          .title = "no-op jobs after " + std::to_string(extent.snapshot_seconds) +
                   " s in which another session held a snapshot",
          .load = {.concurrency = 8, .seconds = extent.snapshot_seconds},
          .measures = {kJobsPerSecond},
          .bases = {"no snapshot"},
          .contenders = [] {
            Contenders field;
            add<UnderSnapshot>(field, Contender::About{"no snapshot", "8 sub-workers, full history"}, false);
            add<UnderSnapshot>(field, Contender::About{"a snapshot is held", "8 sub-workers, full history"},
                               true);
            return field;
          }};
}

Workload producers() {
  return {.name = "producers",
          .title = "four clients that defer one job a call, while supervisors listen",
          .load = {.seconds = 4},
          .measures = {kJobsPerSecond},
          .bases = {"nobody listens"},
          .contenders = [] {
            Contenders field;
            add<Producers>(field, Contender::About{"nobody listens", ""}, 0, false);
            add<Producers>(field,
                           Contender::About{"3 supervisors, all busy", "24 sub-workers each, at long jobs"},
                           3, true);
            add<Producers>(field, Contender::About{"3 supervisors that run the jobs", "24 sub-workers each"},
                           3, false);
            return field;
          }};
}

Workload rescue_workload() {
  return {.name = "rescue",
          .title = "from the SIGKILL of a sub-worker until its job starts again",
          .load = {.jobs = 50},
          .measures = kTimes,
          .bases = {},
          .contenders = [] {
            Contenders field;
            add<Rescue>(field, Contender::About{"Postpone", "7 idle sub-workers beside it"});
            return field;
          }};
}

}  // namespace

std::vector<Workload> workloads(const Extent& extent) {
  std::vector<Workload> all;
  for (const int concurrency : {1, 4, 10, 24}) all.push_back(noop(concurrency, extent));
  all.push_back(one_at_a_time(extent));
  all.push_back(own_locks(extent));
  all.push_back(timed("ms1-10", "jobs of 1 ms, 10 at a time",
                      {.asked = Asked::backlog, .jobs = 20'000, .concurrency = 10, .ms = 1}, extent));
  all.push_back(timed("ms10-8", "jobs of 10 ms, 8 at a time",
                      {.asked = Asked::backlog, .jobs = 6400, .concurrency = 8, .ms = 10}, extent));
  all.push_back(timed(
      "mixed-10", "jobs of which one in ten takes 20 ms and nine nothing, 10 at a time",
      {.asked = Asked::backlog, .jobs = 10'000, .concurrency = 10, .long_every = 10, .long_ms = 20}, extent));
  all.push_back(latency(extent));
  all.push_back(rescue_workload());
  all.push_back(defer("defer-single", "jobs deferred one a call, by one client",
                      {.asked = Asked::defers, .jobs = 2000}, extent));
  all.push_back(
      defer("defer-batch", "jobs deferred in one call", {.asked = Asked::batch, .jobs = 100'000}, extent));
  all.push_back(rest(extent));
  all.push_back(producers());
  all.push_back(old_snapshot(extent));
  for (const Shape& shape : shapes()) all.push_back(fetch_behind(shape, extent));
  return all;
}

}  // namespace postpone::bench

#include "supervisor/status/collect.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "sys/process.h"

namespace postpone::supervisor::status {
namespace {

constexpr std::size_t kMostTotals = 256;  // by name; the rest is counted together

Activity activity_of(board::SlotState state) {
  switch (state) {
    case board::SlotState::vacant:
      return Activity::vacant;
    case board::SlotState::starting:
      return Activity::starting;
    case board::SlotState::idle:
      return Activity::idle;
    case board::SlotState::looking:
      return Activity::looking;
    case board::SlotState::waiting_for_permit:
      return Activity::waiting_for_permit;
    case board::SlotState::running:
      return Activity::running;
    case board::SlotState::stopping:
      return Activity::stopping;
  }
  return Activity::unknown;
}

double own_cpu_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::array<std::uint64_t, board::kEndings> read_endings(const board::Slot& slot) {
  return {slot.counters.succeeded.load(), slot.counters.failed.load(), slot.counters.retried.load(),
          slot.telemetry.aborted.load()};
}

Counts former_counts(const History& history, const std::string& group) {
  const auto found = history.former.find(group);
  return found == history.former.end() ? Counts() : found->second;
}

// Its index, or how many there are.
std::size_t find_group(const Snapshot& s, const std::string& name) {
  const auto found =
      std::find_if(s.groups.begin(), s.groups.end(), [&](const Group& group) { return group.name == name; });
  return static_cast<std::size_t>(found - s.groups.begin());
}

void read_job(const board::Telemetry& telemetry, SubWorker& worker) {
  const auto running = telemetry.job.read();
  worker.job_known = running.has_value();
  if (!running || running->job_id == 0) return;
  worker.job = Job{*running, telemetry.progress.read()};
  auto& progress = worker.job->progress;
  if (progress && progress->job_id != running->job_id) progress.reset();
}

void read_task(const board::Telemetry& telemetry, SubWorker& worker) {
  worker.task = telemetry.task.read();
  worker.task_known = worker.task.has_value();
  if (worker.task && worker.task->pid == 0) worker.task.reset();
}

Member with(const Starting& starting, Member member, std::int64_t heartbeat_ns) {
  member.failures = starting.failures;
  member.next_start_ns = member.pid == 0 ? starting.next_start_ns : 0;
  member.heartbeat_ns = heartbeat_ns;
  return member;
}

SubWorker read_sub_worker(const board::Slot& s, std::uint32_t slot, std::uint32_t group,
                          const Member& member) {
  SubWorker worker;
  worker.member = member;
  worker.slot = slot;
  worker.group = group;
  worker.generation = s.generation.load();
  const bool lives = worker.member.pid != 0;
  worker.activity = lives ? activity_of(s.state.load()) : Activity::absent;
  worker.since_ns = s.since_ns.load();
  worker.fetched = s.counters.fetched.load();
  worker.ended = read_endings(s);
  worker.crashed = s.counters.crashed.load();
  if (!lives) return worker;
  worker.lease = s.lease.load();
  worker.unrecorded_ns = s.unrecorded_ns.load();
  worker.holds_connection = s.holds_permit.load() != 0;
  read_job(s.telemetry, worker);
  read_task(s.telemetry, worker);
  return worker;
}

void add_totals(const board::Tallies& tallies, std::set<std::string, std::less<>>& named, Totals& totals) {
  for (std::uint32_t i = 0; i < tallies.in_use(); ++i) {
    const board::Tally& tally = tallies.entries[i];
    const std::string_view name = tally.name.view();
    const bool has_name = named.contains(name) || (named.size() < kMostTotals && named.emplace(name).second);
    Total& total = totals[has_name ? std::string(name) : std::string(board::kOthers)];
    total.registered |= tally.registered.load() != 0;
    for (std::size_t e = 0; e < board::kEndings; ++e) total.ended.at(e) += tally.ended[e].load();
    total.run_ns += tally.run_ns.load();
  }
}

void add_limits(const board::Board& board, const std::vector<board::LimitedTask>& tasks,
                std::set<std::string, std::less<>>& named, Totals& totals) {
  for (const board::LimitedTask& task : tasks) {
    const auto entry = board::find_task_limit(board, task.name);
    if (!entry ||
        !(named.contains(task.name) || (named.size() < kMostTotals && named.insert(task.name).second)))
      continue;
    Total& total = totals[task.name];
    total.concurrency_limit = task.limit;
    total.concurrency = board::permits_held(board.task_limit(*entry));
  }
}

Pool read_pool(const board::Board& board, const Snapshot& s) {
  Pool pool;
  pool.size = std::min(board.header().permits.load(), board::kMaxSlots);
  // Beyond the size, too: after it has shrunk.
  for (std::uint32_t i = 0; i < board::kMaxSlots; ++i)
    if (board.permit(i).owner.load() != 0) ++pool.held;
  pool.waiting = static_cast<std::uint32_t>(
      std::count_if(s.sub_workers.begin(), s.sub_workers.end(),
                    [](const SubWorker& worker) { return worker.activity == Activity::waiting_for_permit; }));
  pool.longest_wait_ns = board::longest_wait_for_permit(board).count();
  return pool;
}

DatabaseState state_of(const board::DatabaseFacts& facts, const Member& housekeeper) {
  if (housekeeper.pid == 0) return DatabaseState::unknown;
  if (facts.connected_ns != 0) return DatabaseState::up;
  return facts.last_error_ns > facts.lost_ns ? DatabaseState::down : DatabaseState::unknown;
}

Database read_database(const board::DatabaseFacts& facts, const Member& housekeeper) {
  Database database;
  database.state = state_of(facts, housekeeper);
  database.since_ns = database.state == DatabaseState::up ? facts.connected_ns : facts.lost_ns;
  database.server_version = static_cast<int>(facts.server_version);
  database.heartbeat_ns = facts.heartbeat_ns;
  if (facts.last_error_ns != 0)
    database.last_error = Trouble{facts.last_error_ns, std::string(facts.last_error.view())};
  return database;
}

}  // namespace

// --- failures ---

void Failures::collect(const board::Board& board, std::uint32_t slots) {
  read_.resize(slots);
  for (std::uint32_t i = 0; i < slots; ++i)
    read_[i] = board.slot(i).telemetry.failures.read_from(read_[i], [&](const board::FailedJob& job) {
      keep({i, job});
    });
  housekeeper_read_ =
      board.header().housekeeper.failures.read_from(housekeeper_read_, [&](const board::FailedJob& job) {
        keep({std::nullopt, job});
      });
}

void Failures::keep(const Failure& failure) {
  const auto at = std::find_if(kept_.begin(), kept_.end(), [&](const Failure& other) {
    return other.facts.at_ns <= failure.facts.at_ns;
  });
  kept_.insert(at, failure);
  if (kept_.size() > board::kFailuresKept) kept_.pop_back();
}

// --- all of it ---

std::int64_t unix_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void add_counts(const board::Slot& slot, const Member& member, Counts& counts) {
  counts.births += member.births;
  counts.crashes += member.crashes;
  counts.fetched += slot.counters.fetched.load();
  counts.task_crashes += slot.counters.crashed.load();
  const auto ended = read_endings(slot);
  for (std::size_t i = 0; i < ended.size(); ++i) counts.ended.at(i) += ended.at(i);
  counts.job_cpu_ns += slot.telemetry.job_cpu_ns.load();
  counts.run_time.add(slot.telemetry.run_time);
  counts.queue_wait.add(slot.telemetry.queue_wait);
  counts.wake_up.add(slot.telemetry.wake_up);
}

Snapshot collect(const board::Board& board, const config::Config& config, const SupervisorFacts& known,
                 History& history, Detail detail) {
  Snapshot s;
  s.now_ns = board::now_ns();
  s.now_unix_ns = unix_now_ns();
  s.phase = known.phase;
  s.paused = known.paused;
  s.standing = known.standing;
  s.supervisor = known.process;
  s.supervisor.cpu_s = own_cpu_s();
  s.supervisor.rss_bytes = sys::resident_bytes(static_cast<pid_t>(known.process.pid));
  s.listen = known.listen;
  s.fence_after_ns = std::chrono::nanoseconds(config.supervisor.fence_after).count();
  for (const config::Group& group : config.groups)
    s.groups.push_back({group.name, group.queues, former_counts(history, group.name)});

  for (std::uint32_t i = 0; i < known.slots.size(); ++i) {
    const SlotFacts& facts = known.slots[i];
    const board::Slot& slot = board.slot(i);
    if (detail == Detail::all) {
      add_totals(slot.telemetry.tasks, history.tasks, s.tasks);
      add_totals(slot.telemetry.queues, history.queues, s.queues);
    }
    auto group = find_group(s, facts.group);
    if (group == s.groups.size() && !facts.in_use) continue;
    // What is left of a group that is gone.
    if (group == s.groups.size())
      s.groups.push_back({facts.group, {}, former_counts(history, facts.group), true});
    const Member member =
        with(facts.starting, i < history.sub_workers.size() ? history.sub_workers[i] : Member(),
             slot.heartbeat_ns.load());
    if (detail == Detail::all) add_counts(slot, member, s.groups[group].counts);
    if (!facts.in_use) continue;
    s.sub_workers.push_back(read_sub_worker(slot, i, static_cast<std::uint32_t>(group), member));
  }
  if (detail == Detail::all) add_limits(board, known.task_limits, history.tasks, s.tasks);
  s.pool = read_pool(board, s);

  const board::HousekeeperTelemetry& house = board.header().housekeeper;
  s.housekeeper.member =
      with(known.housekeeper, history.housekeeper, board.header().housekeeper_heartbeat_ns.load());
  s.housekeeper.rescued = house.rescued.load();
  add_totals(house.ended_tasks, history.tasks, s.tasks);
  add_totals(house.ended_queues, history.queues, s.queues);
  if (const auto facts = house.database.read()) history.database = *facts;
  s.database = read_database(history.database, s.housekeeper.member);
  s.database.connections = house.connections.load();
  s.database.reconnects = house.reconnects.load();
  if (const auto facts = house.schedules.read(); facts && facts->trouble_ns != 0)
    s.housekeeper.schedules_trouble = facts->trouble.view();
  if (known.preflight_trouble) {
    s.database.state = DatabaseState::down;
    s.database.last_error = known.preflight_trouble;
  }
  if (const auto facts = house.queues.read()) history.waiting = *facts;
  if (history.waiting.measured_ns != 0) s.waiting = history.waiting;
  if (s.waiting) s.waiting->count = std::clamp<std::int64_t>(s.waiting->count, 0, board::kMaxQueueFacts);
  s.failures = history.failures.newest_first();
  return s;
}

}  // namespace postpone::supervisor::status

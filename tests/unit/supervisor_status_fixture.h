// A snapshot of a supervisor that is all well, for tests that make it worse.
#pragma once

#include <cstdint>

#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

inline constexpr std::int64_t kSecond = 1'000'000'000;
inline constexpr std::int64_t kNow = 1'000 * kSecond;
inline constexpr std::int64_t kUnixNow = 1'700'000'000 * kSecond;

inline Member living(std::int64_t pid) {
  Member member;
  member.pid = pid;
  member.ready = member.was_ready = true;
  member.births = 1;
  member.heartbeat_ns = kNow - kSecond;
  return member;
}

// Two sub-workers of one group, all well; the second one runs a job.
inline Snapshot all_well() {
  Snapshot s;
  s.now_ns = kNow;
  s.now_unix_ns = kUnixNow;
  s.phase = Phase::working;
  s.supervisor.version = "1.2.3";
  s.supervisor.name = "host:1:2";
  s.supervisor.pid = 1;
  s.supervisor.started_ns = kNow - 60 * kSecond;
  s.supervisor.started_unix_ns = kUnixNow - 60 * kSecond;
  s.database.state = DatabaseState::up;
  s.database.connections = 1;
  s.database.server_version = 150'006;
  s.database.heartbeat_ns = kNow - 2 * kSecond;
  s.listen.wanted = true;
  s.listen.state = ListenState::listening;
  s.fence_after_ns = 20 * kSecond;
  s.standing = {.wanted = 3, .failing = 0, .housekeeper_serves = true, .unserved = ""};
  s.housekeeper.member = living(2);
  s.groups.push_back({"kitchen", {"kitchen"}, {}});
  s.groups[0].counts.ended = {10, 2, 2, 0};
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    SubWorker worker;
    worker.slot = slot;
    worker.member = living(10 + slot);
    worker.activity = slot == 0 ? Activity::idle : Activity::running;
    worker.since_ns = kNow - 3 * kSecond;
    worker.fetched = 7;
    worker.ended = {5, 1, 1, 0};
    s.sub_workers.push_back(worker);
  }
  board::RunningJob job;
  job.job_id = 42;
  job.attempt = 2;
  job.started_ns = kNow - 3 * kSecond;
  job.time_limit_ns = 5 * kSecond;
  job.task = board::Text<136>("dishes.wash");
  job.queue = board::Text<136>("kitchen");
  s.sub_workers[1].job = Job{job, board::Progress{42, 3, 10, kNow - kSecond, board::Text<136>("soaping")}};
  s.sub_workers[1].task = board::TaskFacts{99, kNow - 9 * kSecond, 4, 1 << 20, kSecond / 2, kNow};
  s.tasks["dishes.wash"] = {true, {10, 2, 2, 0}, 30 * kSecond};
  s.queues["kitchen"] = {false, {10, 2, 2, 0}, 30 * kSecond};
  return s;
}

}  // namespace postpone::supervisor::status

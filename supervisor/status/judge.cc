#include "supervisor/status/judge.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace postpone::supervisor::status {
namespace {

bool all_were_ready(const Snapshot& s) {
  return s.housekeeper.member.was_ready &&
         std::all_of(s.sub_workers.begin(), s.sub_workers.end(),
                     [](const SubWorker& worker) { return worker.member.was_ready; });
}

// An outcome that was refused long ago stands in the list of stalled jobs.
auto count_refused(const Snapshot& s) {
  constexpr std::int64_t kRecentNs = 600'000'000'000;
  return std::count_if(s.sub_workers.begin(), s.sub_workers.end(), [&](const SubWorker& worker) {
    return worker.unrecorded_ns != 0 && s.now_ns - worker.unrecorded_ns < kRecentNs;
  });
}

std::string because(const std::optional<Trouble>& trouble) {
  return trouble ? ": " + trouble->text : "";
}

double age_s(const Snapshot& s, std::int64_t at_ns) {
  return static_cast<double>(s.now_ns - at_ns) / 1e9;
}

std::vector<std::string> troubles(const Snapshot& s) {
  std::vector<std::string> reasons;
  if (s.standing.failing > 0) reasons.push_back(failing_words(s.standing));
  // One that was replaced, as by a reload, has ended well, and the next one is on its way.
  const Member& housekeeper = s.housekeeper.member;
  if (housekeeper.pid == 0 && housekeeper.last_end && !housekeeper.last_end->well)
    reasons.push_back(fmt::format("the housekeeper is not running ({}): no heartbeats, nothing is rescued",
                                  housekeeper.last_end->how));
  if (s.database.state == DatabaseState::down)
    reasons.push_back("the database cannot be reached" + because(s.database.last_error));
  if (!s.housekeeper.schedules_trouble.empty())
    reasons.push_back("periodic tasks are not deferred: " + s.housekeeper.schedules_trouble);
  const bool listens = s.listen.state == ListenState::listening;
  if (s.listen.wanted && !listens && s.listen.last_error)
    reasons.push_back("new jobs are not heard of, only polled for" + because(s.listen.last_error));
  if (s.database.heartbeat_ns != 0 && s.now_ns - s.database.heartbeat_ns > s.fence_after_ns)
    reasons.push_back(
        fmt::format("no heartbeat has reached the database for {:.0f} s: running jobs are stopped",
                    age_s(s, s.database.heartbeat_ns)));
  if (const auto refused = count_refused(s); refused > 0)
    reasons.push_back(fmt::format(
        "the database refuses to record how jobs of {} sub-workers have ended: postpone stalled list",
        refused));
  return reasons;
}

std::string why_not_ready(const Snapshot& s, const Judgement& judgement) {
  switch (judgement.state) {
    case State::draining:
      return "draining: no further jobs are fetched";
    case State::paused:
      return "paused: no further jobs are fetched until SIGCONT";
    default:
      break;
  }
  if (s.phase == Phase::preflight) return judgement.reasons.front();
  if (s.database.state == DatabaseState::down)
    return "the database cannot be reached" + because(s.database.last_error);
  if (!s.standing.unserved.empty()) return "no sub-worker of group " + s.standing.unserved + " is ready";
  return "";
}

}  // namespace

Judgement judge(const Snapshot& s) {
  Judgement judgement;
  if (s.phase == Phase::preflight) {
    judgement.reasons.emplace_back(
        "schema and task executables are checked, as soon as the database can be reached" +
        because(s.database.last_error));
  } else if (s.phase == Phase::draining) {
    judgement.state = State::draining;
    const auto living = std::count_if(s.sub_workers.begin(), s.sub_workers.end(),
                                      [](const SubWorker& worker) { return worker.member.pid != 0; });
    judgement.reasons.push_back(fmt::format("told to stop; {} sub-workers still run", living));
  } else {
    judgement.reasons = troubles(s);
    if (!judgement.reasons.empty())
      judgement.state = State::degraded;
    else if (all_were_ready(s))
      judgement.state = State::running;
    else
      judgement.reasons.emplace_back("some processes have not been ready yet");
    if (s.paused) {
      judgement.state = State::paused;
      judgement.reasons.insert(judgement.reasons.begin(), "SIGTSTP: nothing is fetched until SIGCONT");
    }
  }
  judgement.not_ready = why_not_ready(s, judgement);
  return judgement;
}

}  // namespace postpone::supervisor::status

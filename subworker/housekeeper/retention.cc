#include "subworker/housekeeper/retention.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "board/wake.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using config::Milliseconds;
using sql::JobStatus;

// A step removes some two hundred jobs, in some hundredths of a second.
constexpr int kEventsOfAStep = 600;
constexpr int kRestWhileBusy = 15;  // times the length of a step
constexpr auto kShortestRest = 5ms;
constexpr auto kShortestWalkRest = 1s;
constexpr auto kLongestWalkRest = 1min;
constexpr auto kAnotherIsAtIt = 1s;
constexpr auto kFromTheBeginning = 24h;
constexpr std::int64_t kBeforeAllEvents = std::numeric_limits<std::int64_t>::min();

struct Kind {
  JobStatus status;
  Milliseconds config::Retention::*general;
  std::optional<Milliseconds> config::QueueRetention::*own;
};
constexpr std::array<Kind, 4> kKinds = {{
    {JobStatus::succeeded, &config::Retention::succeeded, &config::QueueRetention::succeeded},
    {JobStatus::failed, &config::Retention::failed, &config::QueueRetention::failed},
    {JobStatus::cancelled, &config::Retention::cancelled, &config::QueueRetention::cancelled},
    {JobStatus::aborted, &config::Retention::aborted, &config::QueueRetention::aborted},
}};

}  // namespace

std::vector<sql::RetentionRequest> retention_walks(const config::Retention& retention) {
  std::map<Milliseconds, sql::RetentionRequest> walks;
  for (const Kind& kind : kKinds) {
    const Milliseconds general = retention.*kind.general;
    if (general > 0ms) walks[general].statuses.push_back(kind.status);
    for (const config::QueueRetention& queue : retention.queues) {
      const Milliseconds own = (queue.*kind.own).value_or(general);
      if (own > 0ms) walks[own].rules.emplace_back(kind.status, queue.name);
    }
  }
  std::vector<sql::RetentionRequest> requests;
  for (auto& [age, request] : walks) {
    request.older_than = age;
    for (const config::QueueRetention& queue : retention.queues) request.own_queues.push_back(queue.name);
    request.after_event = kBeforeAllEvents;
    request.most_events = kEventsOfAStep;
    requests.push_back(std::move(request));
  }
  return requests;
}

Retention::Retention(const config::Retention& retention, const board::Board& board) : board_(board) {
  for (sql::RetentionRequest& request : retention_walks(retention)) walks_.push_back({std::move(request)});
}

Retention::Clock::time_point Retention::due() const {
  auto due = Clock::time_point::max();
  for (const Walk& walk : walks_) due = std::min(due, walk.due);
  return due;
}

void Retention::keep(sql::JobManager& manager, Clock::time_point now) {
  const auto next = std::ranges::min_element(walks_, {}, [](const Walk& walk) { return walk.due; });
  if (next != walks_.end() && next->due <= now) step(*next, manager, now);
}

void Retention::step(Walk& walk, sql::JobManager& manager, Clock::time_point now) {
  if (walk.begun == Clock::time_point{} || (walk.is_at_end && now - walk.begun >= kFromTheBeginning)) {
    walk.begun = now;
    walk.request.after_event = kBeforeAllEvents;
  }
  const auto removed = remove(walk.request, manager);
  const auto ended = Clock::now();
  if (!removed) {
    walk.due = ended + kAnotherIsAtIt;
    return;
  }
  walk.request.after_event = removed->up_to_event;
  walk.removed += removed->jobs;
  walk.is_at_end = removed->is_end;
  if (!removed->is_end) {
    walk.due = ended + std::max<Clock::duration>(kShortestRest,
                                                 (ended - now) * (is_anyone_busy() ? kRestWhileBusy : 1));
    return;
  }
  const auto age = std::chrono::duration_cast<Milliseconds>(walk.request.older_than);
  walk.due = ended + std::clamp<Clock::duration>(age / 10, kShortestWalkRest, kLongestWalkRest);
  if (walk.removed > 0)
    sys::log.info("removed {} job(s) that ended more than {} ago", std::exchange(walk.removed, 0),
                  config::format_duration(age));
}

// A step that took too long for a statement of the housekeeper would do so at each try: the next one is half as large. (A foreign
// key of the application without an index can make each deleted job a walk through a large table.)
std::optional<sql::Removed> Retention::remove(sql::RetentionRequest& request, sql::JobManager& manager) {
  try {
    const auto removed = manager.remove_ended(request);
    request.most_events = std::min(kEventsOfAStep, request.most_events * 2);
    return removed;
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::wait) request.most_events = std::max(1, request.most_events / 2);
    throw;
  }
}

bool Retention::is_anyone_busy() const {
  const auto slots = board::view(board_);
  return std::ranges::any_of(slots, [](const board::SlotView& slot) {
    return slot.state == board::SlotState::running || slot.state == board::SlotState::looking ||
           slot.state == board::SlotState::waiting_for_permit;
  });
}

}  // namespace postpone::subworker

#include "subworker/house_teller.h"

#include <algorithm>
#include <map>
#include <memory>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 5s;
constexpr int kPatience = 100;       // a look that took long is repeated after so many times as long
constexpr auto kLongestLook = 2s;    // the heartbeats wait behind it
constexpr auto kAfterLongest = 60s;  // before one that took longer is tried again
constexpr const char* kQueryCanceled = "57014";

std::int64_t to_ns(sql::Seconds seconds) {
  return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(seconds).count());
}

board::QueueFacts to_facts(const sql::QueueDepths& depths) {
  board::QueueFacts facts;
  for (const sql::QueueDepth& depth : depths.queues) {
    if (facts.count == static_cast<std::int64_t>(board::kMaxQueueFacts)) break;
    board::QueueFact& fact = facts.queues[facts.count++];
    fact.name = board::Text<136>(depth.queue);
    fact.ready = depth.ready;
    fact.scheduled = depth.scheduled;
    fact.oldest_ns = to_ns(depth.oldest.value_or(0s));
  }
  facts.other_queues = depths.other_queues;
  facts.other_ready = depths.other_ready;
  facts.other_scheduled = depths.other_scheduled;
  return facts;
}

}  // namespace

// The housekeeper before us may have died while it was connected, or while it wrote.
HouseTeller::HouseTeller(board::Header& header, bool wanted)
    : telemetry_(header.housekeeper), next_look_(wanted ? Clock::time_point() : Clock::time_point::max()) {
  facts_ = telemetry_.database.read().value_or(board::DatabaseFacts());
  disconnected();
}

void HouseTeller::connected(int server_version) {
  facts_.connected_ns = board::now_ns();
  ++facts_.connections;
  facts_.server_version = server_version;
  telemetry_.database.write(facts_);
}

void HouseTeller::disconnected() {
  facts_.connected_ns = 0;
  telemetry_.database.write(facts_);
}

void HouseTeller::failed(const std::string& error) {
  facts_.last_error_ns = board::now_ns();
  facts_.last_error = board::Text<256>(error);
  telemetry_.database.write(facts_);
}

void HouseTeller::heartbeat_committed() {
  facts_.heartbeat_ns = board::now_ns();
  telemetry_.database.write(facts_);
}

void HouseTeller::look_at_queues(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_look_) return;
  next_look_ = now + kAfterLongest;
  try {
    auto facts = std::make_unique<board::QueueFacts>(
        to_facts(manager.queue_depths(board::kMaxQueueFacts, kLongestLook)));
    const auto took = Clock::now() - now;
    facts->took_ns = std::chrono::nanoseconds(took).count();
    facts->measured_ns = board::now_ns();
    telemetry_.queues.write(*facts);
    next_look_ = now + std::max<Clock::duration>(kLookEvery, kPatience * took);
  } catch (const sql::DatabaseError& error) {
    if (error.sqlstate() == kQueryCanceled) return;  // what is told grows old, and says how old it is
    next_look_ = now + kLookEvery;
    throw;
  }
}

void HouseTeller::rescued(sql::JobManager& manager, std::optional<sql::WorkerId> lease,
                          const std::vector<sql::Recorded>& recorded, const std::string& how) {
  std::map<sql::JobId, sql::JobStatus> did_not_end_well;
  for (const sql::Recorded& r : recorded) {
    const bool decided =
        r.disposition == sql::Disposition::recorded || r.disposition == sql::Disposition::superseded;
    if (!decided) continue;
    board::add(telemetry_.rescued);
    if (r.status == sql::JobStatus::todo || r.status == sql::JobStatus::failed)
      did_not_end_well.emplace(r.job_id, r.status);
  }
  if (did_not_end_well.empty()) return;
  std::vector<sql::JobId> ids;
  for (const auto& [id, status] : did_not_end_well) ids.push_back(id);
  for (const sql::LastAttempt& last : manager.last_attempts(ids)) {
    // It had not begun, and waits as before.
    if (lease && last.worker_id != lease) continue;
    board::FailedJob failed;
    failed.job_id = last.job_id;
    failed.attempt = last.attempt;
    failed.at_ns = board::now_ns();
    const bool waits = did_not_end_well.at(last.job_id) == sql::JobStatus::todo;
    failed.ending = static_cast<std::int64_t>(waits ? board::Ending::retried : board::Ending::failed);
    failed.cause = board::Text<24>(last.cause);
    failed.task = board::Text<136>(last.task);
    failed.queue = board::Text<136>(last.queue);
    failed.message = board::Text<256>(how);
    telemetry_.failures.push(failed);
  }
}

}  // namespace postpone::subworker

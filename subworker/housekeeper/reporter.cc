#include "subworker/housekeeper/reporter.h"
#include "sys/logger.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 5s;
constexpr int kRestPerLook = 100;  // a look that took long is repeated after so many times as long
constexpr std::chrono::milliseconds kLongestLook = 2s;
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

// As postpone_stalled_outcome() (sql/functions/stalled.sql) writes it.
bool is_of_a_rescue(const sql::LastAttempt& attempt) {
  return attempt.cause == "worker_lost" || attempt.cause == "poison" || attempt.cause == "superseded";
}

}  // namespace

// The housekeeper before us may have died while it was connected, or while it wrote.
HousekeeperReporter::HousekeeperReporter(board::Header& header, bool wanted,
                                         std::chrono::milliseconds patience)
    : telemetry_(header.housekeeper),
      wanted_(wanted),
      longest_look_(std::min(kLongestLook, patience)),
      next_look_(wanted ? Clock::time_point() : Clock::time_point::max()) {
  facts_ = telemetry_.database.read().value_or(board::DatabaseFacts());
  was_lost_ = facts_.connected_ns == 0 && facts_.lost_ns != 0;
  if (facts_.connected_ns != 0) facts_.lost_ns = board::now_ns();
  facts_.connected_ns = 0;
  telemetry_.database.write(facts_);
  schedules_trouble("");
}

void HousekeeperReporter::connected(int server_version) {
  facts_.connected_ns = board::now_ns();
  facts_.lost_ns = 0;
  board::add(telemetry_.connections);
  if (std::exchange(was_lost_, false)) board::add(telemetry_.reconnects);
  facts_.server_version = server_version;
  telemetry_.database.write(facts_);
}

void HousekeeperReporter::disconnected() {
  if (facts_.connected_ns != 0) facts_.lost_ns = board::now_ns();
  was_lost_ = was_lost_ || facts_.connected_ns != 0;
  facts_.connected_ns = 0;
  telemetry_.database.write(facts_);
}

void HousekeeperReporter::schedules_trouble(const std::string& why) {
  telemetry_.schedules.write({why.empty() ? 0 : board::now_ns(), board::Text<256>(why)});
}

void HousekeeperReporter::failed(const std::string& error) {
  facts_.last_error_ns = board::now_ns();
  facts_.last_error = board::Text<256>(error);
  telemetry_.database.write(facts_);
}

void HousekeeperReporter::heartbeat_committed() {
  facts_.heartbeat_ns = board::now_ns();
  telemetry_.database.write(facts_);
}

void HousekeeperReporter::look_at_queues(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_look_) return;
  next_look_ = now + kRestPerLook * longest_look_;  // unless it takes less time than that
  try {
    auto facts = std::make_unique<board::QueueFacts>(
        to_facts(manager.queue_depths(board::kMaxQueueFacts, longest_look_)));
    const auto took = Clock::now() - now;
    facts->took_ns = std::chrono::nanoseconds(took).count();
    facts->measured_ns = board::now_ns();
    telemetry_.queues.write(*facts);
    next_look_ = now + std::max<Clock::duration>(kLookEvery, kRestPerLook * took);
  } catch (const sql::DatabaseError& error) {
    if (error.sqlstate() == kQueryCanceled) return;  // the last answer grows old, and says how old it is
    next_look_ = {};  // the housekeeper, which has other things to do, tries it again after its own wait
    throw;
  }
}

void HousekeeperReporter::rescued(sql::JobManager& manager, std::optional<sql::WorkerId> lease,
                                  const std::vector<sql::Recorded>& recorded,
                                  const std::vector<sql::JobId>& known, const std::string& how) {
  std::map<sql::JobId, board::Ending> lost;
  for (const sql::Recorded& r : recorded) {
    const bool decided =
        r.disposition == sql::Disposition::recorded || r.disposition == sql::Disposition::superseded;
    if (!decided) continue;
    board::add(telemetry_.rescued);
    const bool waits = r.status == sql::JobStatus::todo;
    const bool is_known = std::find(known.begin(), known.end(), r.job_id) != known.end();
    if ((waits || r.status == sql::JobStatus::failed) && !is_known)
      lost.emplace(r.job_id, waits ? board::Ending::retried : board::Ending::failed);
  }
  if (lost.empty() || !wanted_) return;
  std::vector<sql::JobId> ids;
  ids.reserve(lost.size());
  for (const auto& [id, ending] : lost) ids.push_back(id);
  try {
    for (const sql::LastAttempt& last : manager.last_attempts(ids))
      // An attempt that this rescue did not write is an earlier one: the job had not begun under this lease,
      // and nothing is reported.
      if ((!lease || last.worker_id == lease) && is_of_a_rescue(last)) ended(last, lost.at(last.job_id), how);
  } catch (const sql::DatabaseError& error) {
    sys::log.debug("not reported on the status socket, rescued from lease {}: {}", lease.value_or(0),
                   error.what());
  }
}

void HousekeeperReporter::ended(const sql::LastAttempt& attempt, board::Ending ending,
                                const std::string& how) {
  board::count(telemetry_.ended_tasks.of(attempt.task), ending, 0);
  board::count(telemetry_.ended_queues.of(attempt.queue), ending, 0);
  board::FailedJob failed;
  failed.job_id = attempt.job_id;
  failed.attempt = attempt.attempt;
  failed.at_ns = board::now_ns();
  failed.ending = static_cast<std::int64_t>(ending);
  failed.cause = board::Text<24>(attempt.cause);
  failed.task = board::Text<136>(attempt.task);
  failed.queue = board::Text<136>(attempt.queue);
  failed.message = board::Text<256>(how);
  telemetry_.failures.push(failed);
}

}  // namespace postpone::subworker

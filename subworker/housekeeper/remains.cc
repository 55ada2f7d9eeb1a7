#include "subworker/housekeeper/remains.h"

#include <chrono>
#include <string_view>

namespace postpone::subworker {

namespace {

sql::Outcome outcome_in(const board::JobEntry& entry) {
  const board::Success& success = entry.success;
  sql::Outcome outcome;
  outcome.job_id = entry.job_id.load();
  outcome.attempt = success.attempt.load();
  outcome.action = sql::Action::succeed;
  outcome.delete_job = success.deletes_job.load() != 0;
  outcome.omit_events = success.omits_events.load() != 0;
  outcome.omit_attempt = success.omits_attempt.load() != 0;
  outcome.run_time = std::chrono::nanoseconds(success.run_ns.load());
  outcome.cpu_time = std::chrono::microseconds(success.cpu_us.load());
  outcome.max_rss_bytes = success.max_rss_bytes.load();
  return outcome;
}

}  // namespace

std::vector<sql::JobId> Remains::all() const {
  std::vector<sql::JobId> ids = ended;
  ids.insert(ids.end(), running.begin(), running.end());
  return ids;
}

Remains remains_in(const board::Grave& grave) {
  Remains remains;
  for (const board::JobEntry& entry : grave.jobs) {
    const auto phase = entry.phase.load();
    const std::string_view text = board::outcome_of(entry, grave.outcomes);
    if (phase == board::JobPhase::ended && !text.empty()) {
      remains.outcomes.emplace_back(text);
      remains.ended.push_back(entry.job_id.load());
    } else if (phase == board::JobPhase::succeeded) {
      remains.outcomes.push_back(sql::to_json(outcome_in(entry)));
      remains.ended.push_back(entry.job_id.load());
    } else if (phase == board::JobPhase::running || phase == board::JobPhase::ended) {
      remains.running.push_back(entry.job_id.load());
    }
  }
  return remains;
}

}  // namespace postpone::subworker

#include "subworker/housekeeper/remains.h"

namespace postpone::subworker {

std::vector<sql::JobId> Remains::all() const {
  std::vector<sql::JobId> ids = ended;
  ids.insert(ids.end(), running.begin(), running.end());
  return ids;
}

Remains remains_in(const board::Grave& grave) {
  Remains remains;
  for (const board::JobEntry& entry : grave.jobs) {
    const auto phase = entry.phase.load();
    const auto size = entry.outcome_bytes.load();
    const auto bytes = size <= sizeof entry.outcome ? size : 0;
    if (phase == board::JobPhase::ended && bytes > 0) {
      remains.outcomes.emplace_back(entry.outcome, bytes);
      remains.ended.push_back(entry.job_id.load());
    } else if (phase == board::JobPhase::running || phase == board::JobPhase::ended) {
      remains.running.push_back(entry.job_id.load());
    }
  }
  return remains;
}

}  // namespace postpone::subworker

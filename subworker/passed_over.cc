#include "subworker/passed_over.h"

#include <algorithm>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirst = 2s;
constexpr auto kLongest = 5min;

bool due_earlier(const std::pair<const sql::JobId, sys::Pause>& a,
                 const std::pair<const sql::JobId, sys::Pause>& b) {
  return a.second.until() < b.second.until();
}

}  // namespace

bool PassedOver::add(sql::JobId job, Clock::time_point now, double chance) {
  const auto [entry, is_new] = jobs_.try_emplace(job, sys::Backoff(kFirst, kLongest));
  entry->second.failed(now, chance);
  if (jobs_.size() > kMost) jobs_.erase(std::ranges::min_element(jobs_, due_earlier));
  return is_new;
}

std::vector<sql::JobId> PassedOver::list(Clock::time_point now) {
  std::erase_if(jobs_, [now](const auto& entry) { return now >= entry.second.until() + kLongest; });
  std::vector<sql::JobId> ids;
  for (const auto& [id, pause] : jobs_)
    if (!pause.over(now)) ids.push_back(id);
  return ids;
}

}  // namespace postpone::subworker

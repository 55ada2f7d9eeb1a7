#include "subworker/housekeeper/cares.h"

#include <algorithm>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kShortestWait = 50ms;
constexpr auto kLongestWait = 60s;

}  // namespace

bool Cares::may_try(Id id, Clock::time_point now) const {
  const auto care = cares_.find(id);
  return care == cares_.end() || care->second.pause.over(now);
}

Cares::Failure Cares::failed(Id id, const sql::DatabaseError& error, Clock::time_point now, double chance) {
  Care& care = cares_.try_emplace(id, Care{sys::Pause({kShortestWait, kLongestWait})}).first->second;
  care.pause.failed(now, chance);
  const bool refused = error.remedy() == sql::Remedy::bug || error.remedy() == sql::Remedy::conflict;
  if (refused) ++care.refusals;
  const bool is_news = care.said != error.what();
  care.said = error.what();
  return {.is_news = is_news, .is_refused = refused};
}

int Cares::refusals(Id id) const {
  const auto care = cares_.find(id);
  return care != cares_.end() ? care->second.refusals : 0;
}

std::string Cares::said(Id id) const {
  const auto care = cares_.find(id);
  return care != cares_.end() ? care->second.said : "";
}

void Cares::keep_only(const std::function<bool(Id)>& is_wanted) {
  std::erase_if(cares_, [&](const auto& care) { return !is_wanted(care.first); });
}

Cares::Clock::time_point Cares::next() const {
  auto next = Clock::time_point::max();
  for (const auto& [id, care] : cares_) next = std::min(next, care.pause.until());
  return next;
}

}  // namespace postpone::subworker

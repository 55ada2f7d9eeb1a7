#include "subworker/housekeeper/duties.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "sql/error.h"
#include "sys/logger.h"

namespace postpone::subworker {

Duties::Duties(std::function<Clock::time_point()> now, std::function<void(const std::string&)> on_fault)
    : now_(std::move(now)), on_fault_(std::move(on_fault)) {}

void Duties::add(Duty duty) {
  duties_.push_back({std::move(duty)});
}

void Duties::keep_all() {
  for (Kept& kept : duties_) {
    keep_urgent();
    if (&kept != &duties_.front()) keep_if_due(kept);
  }
}

void Duties::keep_urgent() {
  keep_if_due(duties_.front());
}

void Duties::keep_if_due(Kept& kept) {
  if (!kept.duty.pause.over(now_())) return;
  try {
    kept.duty.keep(now_());
    kept.duty.pause.succeeded();
    kept.said.clear();
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) throw;
    kept.duty.pause.failed(now_(), sys::chance());
    // The server has ended a transaction in favour of another one: the next try goes well, as a rule.
    if (error.remedy() == sql::Remedy::retry && kept.duty.pause.failures() == 1) return;
    const std::string fault = fmt::format("{}: {}", kept.duty.name, error.what());
    on_fault_(fault);
    if (fault != kept.said)
      sys::log.error("the duty {} failed; trying it again: {}", kept.duty.name, error.what());
    kept.said = fault;
  }
}

// A duty that has failed is due when its pause is over, and not before.
Duties::Clock::duration Duties::until_next() const {
  const auto now = now_();
  auto next = Clock::time_point::max();
  for (const Kept& kept : duties_) {
    const bool has_failed = kept.duty.pause.failures() > 0;
    next = std::min(next, has_failed ? kept.duty.pause.until() : kept.duty.due(now));
  }
  return std::max(Clock::duration(0), next - now);
}

void Duties::connected() {
  for (Kept& kept : duties_) kept.duty.pause.succeeded();
}

}  // namespace postpone::subworker

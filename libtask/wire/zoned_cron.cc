#include "libtask/wire/zoned_cron.h"

#include <algorithm>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using Time = Cron::Time;

constexpr std::chrono::years kFarthest{41};  // as Cron::next_after()

// A Time is the clocks' here, where it is called local. Those that the period shows a second time lie
// before this one; nothing when it shows none.
std::optional<Time> end_of_overlap(const Zone& zone, const Zone::Period& period) {
  if (!period.begin) return std::nullopt;
  const auto offset_before = zone.period_at(*period.begin - 1s).offset;
  if (offset_before <= period.offset) return std::nullopt;
  return *period.begin + offset_before;
}

}  // namespace

std::optional<Time> ZonedCron::next_after(Time time) const {
  Zone::Period period = zone.period_at(time);
  Time local_after = time + period.offset;
  for (;;) {
    const auto overlap = cron.has_any_hour() ? std::nullopt : end_of_overlap(zone, period);
    if (overlap) local_after = std::max(local_after, *overlap - 1s);
    const auto local = cron.next_after(local_after);
    if (!local) return std::nullopt;
    const Time tick = *local - period.offset;
    if (!period.end || tick < *period.end) return tick;
    if (*period.end > time + kFarthest) return std::nullopt;
    const Zone::Period next = zone.period_at(*period.end);
    const Time local_begin = *period.end + next.offset;
    if (*local < local_begin) return *period.end;  // in the gap
    local_after = local_begin - 1s;
    period = next;
  }
}

}  // namespace libtask::wire

// The ticks of a cron expression whose fields mean the clocks of a time zone. Pure.
//
// Two nights of a year are special where clocks change:
//   gap      clocks jump from 02:00 to 03:00. A time of day that does not exist ticks when the clocks jump,
//            and what would tick then anyway ticks once.
//   overlap  clocks go back from 03:00 to 02:00. A time of day that comes twice ticks the first time. Where
//            the hour field begins with `*`, or lists all hours, it ticks both times: such an expression
//            means an interval, and "every ten minutes" is to go on through that hour.
#pragma once

#include <chrono>
#include <optional>

#include "libtask/wire/cron.h"
#include "libtask/wire/zone.h"

namespace libtask::wire {

struct ZonedCron {
  Cron cron;
  Zone zone = {};  // UTC

  // The first tick strictly after `time`, as Cron::next_after().
  std::optional<Cron::Time> next_after(Cron::Time time) const;
};

}  // namespace libtask::wire

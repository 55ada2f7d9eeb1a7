#include "web/ticks.h"

#include "libtask/wire/zoned_cron.h"

namespace postpone::web {

using libtask::wire::Cron;

bool is_served(const sql::FleetSchedule& schedule) {
  return schedule.silent_for < std::chrono::minutes(16);
}

std::optional<sql::DatabaseTime> next_tick(const sql::FleetSchedule& schedule, sql::DatabaseTime now) {
  if (schedule.paused_at || !is_served(schedule)) return std::nullopt;
  try {
    const libtask::wire::ZonedCron cron{Cron::parse(schedule.cron), libtask::wire::Zone::load(schedule.zone)};
    if (const auto tick = cron.next_after(Cron::Time{std::chrono::seconds(now.seconds())}))
      return sql::DatabaseTime(sql::SystemTime(*tick));
  } catch (const libtask::wire::CronError&) {
    return std::nullopt;  // a person wrote into the table
  } catch (const libtask::wire::ZoneError&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace postpone::web

// Schedules: their last ticks and the next.
#include <algorithm>
#include <utility>

#include "web/page.h"
#include "web/pages/next_ticks.h"
#include "web/pages/parts.h"
#include "web/ticks.h"

namespace postpone::web {
namespace {

using sql::FleetSchedule;

Html last_cell(const FleetSchedule& schedule, sql::DatabaseTime now) {
  if (!schedule.last_tick) return dash();
  const Html state = schedule.last_state ? state_mark(*schedule.last_state) : Html();
  const Html job = schedule.last_job ? job_link(*schedule.last_job) : Html();
  return html("{}<span class=\"sub\">{} {}</span>", state, job, ago(*schedule.last_tick, now));
}

Html next_cell(const FleetSchedule& schedule, sql::DatabaseTime now) {
  if (schedule.paused_at)
    return html("<span class=\"st st-silent\">{}paused</span><span class=\"sub\">{}</span>", icon("#s-pause"),
                ago(*schedule.paused_at, now));
  if (!is_served(schedule)) return html("<span class=\"warn\">not served</span>");
  return ago_or_dash(next_tick(schedule, now), now);
}

Html row(const FleetSchedule& schedule, sql::DatabaseTime now) {
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a>"
      "<span class=\"sub cut\"><bdi>{}</bdi></span></td>"
      "<td role=\"cell\" class=\"p-sub\"><span class=\"mono cut\"><bdi>{}</bdi></span>"
      "<span class=\"sub cut\"><bdi>{}</bdi></span></td>"
      "<td role=\"cell\" class=\"p-hide\"><a class=\"quiet cut\" href=\"{}\">{}</a></td>"
      "<td role=\"cell\" class=\"p-sub2\">{}</td><td role=\"cell\" class=\"p-end num\">{}</td>"
      "<td role=\"cell\" class=\"p-hide l-only\"><span class=\"cut\"><bdi>{}</bdi></span></td></tr>\n",
      jobs_of("task", schedule.task), name(schedule.task), schedule.id, schedule.cron, schedule.zone,
      jobs_of("queue", schedule.queue), name(schedule.queue), last_cell(schedule, now),
      next_cell(schedule, now), schedule.served_by);
}

Html table(const sql::SchedulesPage& page) {
  if (page.schedules.empty())
    return empty_list("No schedules", "A supervisor enters those of its configuration and of its tasks.");
  return html(
      "<table role=\"table\" class=\"rows nochk fixed tall\"><thead role=\"rowgroup\"><tr role=\"row\">"
      "<th role=\"columnheader\">Task, name</th><th role=\"columnheader\" class=\"w-lg\">When</th>"
      "<th role=\"columnheader\" class=\"w-md\">Queue</th><th role=\"columnheader\" class=\"w-lg\">Last "
      "tick</th>"
      "<th role=\"columnheader\" class=\"num w-md\">Next</th><th role=\"columnheader\" class=\"w-lg "
      "l-only\">Supervisor</th>"
      "</tr></thead><tbody role=\"rowgroup\" data-rows>\n{}</tbody></table>",
      each_of(page.schedules,
              [&](const FleetSchedule& schedule) { return row(schedule, page.reading.now); }));
}

Html warning(const sql::SchedulesPage& page) {
  const auto unserved = std::count_if(
      page.schedules.begin(), page.schedules.end(),
      [](const FleetSchedule& schedule) { return !is_served(schedule) && !schedule.paused_at; });
  if (unserved == 0) return {};
  return notice("note warn", plural(unserved, "schedule") + " no supervisor serves.",
                "None has said so for 16 minutes: its supervisor has ended, or its configuration has lost "
                "the schedule.");
}

}  // namespace

Page schedules_page(const Visit& visit) {
  const sql::SchedulesPage page = visit.fleet.schedules();
  return {.section = Section::schedules,
          .title = "Schedules",
          .main = html("<div class=\"head\"><h1>Schedules</h1><p>{}</p></div><div class=\"stackv\" "
                       "data-live=\"schedules\">{}"
                       "<section class=\"panel\">{}</section></div>",
                       plural(static_cast<std::int64_t>(page.schedules.size()), "schedule"), warning(page),
                       table(page)),
          .reading = page.reading};
}

// ---- of the overview -----------------------------------------------------------------------------

Html next_ticks(const sql::SchedulesPage& page) {
  std::vector<std::pair<sql::DatabaseTime, const FleetSchedule*>> ticks;
  for (const FleetSchedule& schedule : page.schedules)
    if (const auto tick = next_tick(schedule, page.reading.now)) ticks.emplace_back(*tick, &schedule);
  if (ticks.empty()) return {};
  std::sort(ticks.begin(), ticks.end());
  if (ticks.size() > 5) ticks.resize(5);
  return html(
      "<section class=\"panel\" data-live=\"ticks\" aria-labelledby=\"nx-h\"><header><h2 id=\"nx-h\">Next on "
      "schedule</h2>"
      "<div class=\"acts\"><a href=\"{}\">Schedules</a></div></header><table class=\"fixed "
      "tall\"><tbody>{}</tbody></table>"
      "</section>",
      Link("/schedules"), each_of(ticks, [&](const auto& tick) {
        return html(
            "<tr><td><span class=\"cut\">{}</span></td><td class=\"w-lg muted\"><span class=\"cut "
            "mono\"><bdi>{}</bdi>"
            "</span></td><td class=\"num w-md\">{}</td></tr>",
            name(tick.second->task), tick.second->cron, ago(tick.first, page.reading.now));
      }));
}

}  // namespace postpone::web

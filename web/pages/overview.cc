// The overview: what wants attention, the figures, the last hour, and the first lines of all other pages.
#include <algorithm>

#include "web/page.h"
#include "web/pages/failure_groups.h"
#include "web/pages/first_run.h"
#include "web/pages/hosts_at_work.h"
#include "web/pages/last_hour.h"
#include "web/pages/lock_lines.h"
#include "web/pages/next_ticks.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

struct Everything {
  sql::FleetFigures figures;
  sql::FailuresPage failures;
  sql::WorkersPage workers;
  sql::LocksPage locks;
  sql::SchedulesPage schedules;
};

// ---- attention -----------------------------------------------------------------------------------

Html attention_entry(const Html& mark, const Html& what, std::string_view more, const Html& link) {
  return html("<li>{}<div>{}</div><span class=\"sub\">{}</span>{}</li>", mark, what, more, link);
}

Html go(const Link& where, std::string_view word) {
  return html("<a class=\"go\" href=\"{}\">{}</a>", where, word);
}

// Failures that are many, or new: one among thousands of jobs is nobody's business yet.
Html failing_entries(const sql::FailuresPage& failures, sql::DatabaseTime now) {
  Html entries;
  int shown = 0;
  for (const sql::FailureGroup& group : failures.groups) {
    const bool is_fresh = between(group.last, now) < std::chrono::minutes(15);
    if (group.attempts < 10 || !is_fresh || ++shown > 2) continue;
    entries +=
        attention_entry(icon("#s-fail", "i bad"),
                        html("<b>{} of {}</b> ended by <bdi>{}</bdi>", plural(group.attempts, "attempt"),
                             name(group.task), cause_word(group.cause, group.detail)),
                        plural(group.failed_jobs, "job") + " failed for good; the first " +
                            ago_text(group.first, now) + ", the last " + ago_text(group.last, now),
                        go(Link("/failures"), "Look at the group"));
  }
  return entries;
}

Html worker_entries(const Everything& all) {
  Html entries;
  if (const auto stalled = stalled_jobs(all.workers); stalled > 0)
    entries += attention_entry(icon("#i-warn", "i bad"), html("<b>{}</b> stalled", plural(stalled, "job")),
                               "The worker of each is gone, or has not been heard of for 30 s.",
                               go(Link("/workers"), "Open the workers"));
  if (const auto silent = silent_workers(all.workers); silent > 0)
    entries += attention_entry(icon("#i-warn", "i warn"), html("<b>{}</b> silent", plural(silent, "worker")),
                               "Supervisors take over what they run after stalled_after.",
                               go(Link("/workers"), "Open the workers"));
  if (all.workers.workers.empty() && all.figures.ready.count > 0)
    entries += attention_entry(
        icon("#i-warn", "i bad"), html("<b>{}</b> ready, and no worker", count_text(all.figures.ready)),
        "No supervisor works on this database.", go(Link("/queues"), "Open the queues"));
  return entries;
}

Html attention(const Everything& all) {
  const Html entries = failing_entries(all.failures, all.figures.reading.now) + worker_entries(all);
  if (entries.empty())
    return html(
        "<section class=\"note ok\" data-live=\"attention\">{}<div class=\"grow\"><b>Nothing wants "
        "attention</b>"
        "</div></section>",
        icon("#s-ok"));
  return html(
      "<section class=\"panel\" data-live=\"attention\" aria-labelledby=\"att-h\"><header>{}<h2 "
      "id=\"att-h\">This wants "
      "attention</h2></header><ul class=\"todo\">{}</ul></section>",
      icon("#i-warn", "i bad"), entries);
}

// ---- figures -------------------------------------------------------------------------------------

Html figure(const Link& where, Literal what, const std::string& value, const Html& more) {
  return html(
      "<a class=\"kpi\" href=\"{}\"><span class=\"k\">{}</span><span class=\"v\">{}</span><span "
      "class=\"d\">{}</span></a>\n",
      where, what.text(), value, more);
}

std::int64_t failed_in_hour(const sql::FleetFigures& figures) {
  std::int64_t failed = 0;
  for (const sql::Minute& minute : figures.minutes) failed += minute.failed;
  return failed;
}

// Of the five minutes before this one.
std::int64_t ended_a_minute(const sql::FleetFigures& figures) {
  const std::int64_t this_minute = figures.reading.now.seconds() / 60;
  std::int64_t ended = 0;
  for (const sql::Minute& minute : figures.minutes)
    if (minute.minute < this_minute && minute.minute >= this_minute - 5)
      ended += minute.succeeded + minute.failed + minute.retried + minute.aborted;
  return (ended + 4) / 5;
}

Html next_in_line(const sql::FleetFigures& figures) {
  if (!figures.next) return html("none waits for a worker");
  if (!figures.next->last_event_at) return html("the next is job {}", figures.next->id);
  return html("the next was deferred {}", ago(*figures.next->last_event_at, figures.reading.now));
}

Html figures_panel(const Everything& all) {
  const sql::FleetFigures& figures = all.figures;
  const auto workers = static_cast<std::int64_t>(all.workers.workers.size());
  return html(
      "<section class=\"kpis\" aria-label=\"Key figures\" data-live=\"figures\">\n{}{}{}{}{}{}</section>",
      figure(Link("/jobs").with("status", "running"), "Running", count_text(figures.running),
             html("{}", plural(workers, "worker"))),
      figure(Link("/jobs").with("status", "waiting"), "Ready to run", count_text(figures.ready),
             next_in_line(figures)),
      figure(
          Link("/jobs").with("status", "scheduled"), "Scheduled", count_text(figures.scheduled),
          figures.next_due ? html("next {}", ago(*figures.next_due, figures.reading.now)) : html("none is")),
      figure(Link("/locks"), "Behind a lock", count_text(figures.locked),
             html("wait for an elder job of it")),
      figure(Link("/tasks"), "Attempts a minute", thousands(ended_a_minute(figures)),
             html("of the last five minutes")),
      figure(Link("/failures"), "Failed for good", thousands(failed_in_hour(figures)),
             html("in the last hour")));
}

// ---- what runs longest ---------------------------------------------------------------------------

Html running_row(const sql::RunningJobNow& running, sql::DatabaseTime now) {
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a><span "
      "class=\"sub cut\">"
      "<span class=\"id\">{}</span> · <bdi>{}</bdi></span></td><td role=\"cell\" class=\"p-end num "
      "w-sm\">{}</td>"
      "<td role=\"cell\" class=\"p-sub w-lg\">{}</td><td role=\"cell\" class=\"p-hide w-md l-only\"><span "
      "class=\"cut\">"
      "<bdi>{}</bdi></span><span class=\"sub cut\"><bdi>{}</bdi></span></td></tr>\n",
      job_at(running.job.id), name(running.job.task), running.job.id, running.job.queue,
      running.started_at ? html("{}", duration_text(between(*running.started_at, now))) : dash(),
      progress_bar(running.progress), running.job.worker, running.host);
}

Html longest_panel(const sql::FleetFigures& figures) {
  if (figures.longest.empty()) return {};
  return html(
      "<section class=\"panel\" data-live=\"longest\" aria-labelledby=\"rn-h\"><header><h2 "
      "id=\"rn-h\">Running longest</h2>"
      "<div class=\"acts\"><a href=\"{}\">All</a></div></header><table role=\"table\" class=\"rows nochk "
      "fixed tall\">"
      "<thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\">Job</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">For</th><th role=\"columnheader\" "
      "class=\"w-lg\">Progress</th>"
      "<th role=\"columnheader\" class=\"w-md l-only\">Worker</th></tr></thead>"
      "<tbody role=\"rowgroup\" data-rows>\n{}</tbody></table></section>",
      Link("/jobs").with("status", "running"),
      each_of(figures.longest,
              [&](const sql::RunningJobNow& running) { return running_row(running, figures.reading.now); }));
}

}  // namespace

Page overview_page(const Visit& visit) {
  Everything all{visit.fleet.figures(), {}, visit.fleet.workers(), {}, {}};
  if (all.figures.is_empty) return first_run(all.figures, all.workers);
  all.failures = visit.fleet.failures(std::nullopt);
  all.locks = visit.fleet.locks(std::nullopt, 20);
  all.schedules = visit.fleet.schedules();
  return {.section = Section::overview,
          .title = "Overview",
          .main = html("<div class=\"head\"><h1>Overview</h1><p>{} jobs in all</p></div>{}{}{}"
                       "<div class=\"cols\"><div class=\"c7 stackv\">{}{}</div><div class=\"c5 "
                       "stackv\">{}{}{}</div></div>",
                       about(all.figures.all_jobs), attention(all), figures_panel(all),
                       last_hour(all.figures), failing_most(all.failures), longest_panel(all.figures),
                       hosts_at_work(all.workers), longest_lines(all.locks), next_ticks(all.schedules)),
          .reading = all.figures.reading};
}

}  // namespace postpone::web

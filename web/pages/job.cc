// One job: how it stands, what it waits for, where its time went, its attempts and events.
#include <algorithm>
#include <cmath>

#include "web/page.h"
#include "web/pages/job_parts.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::JobPage;
using sql::State;

bool waits(const JobPage& page) {
  const State state = page.job.state;
  return state == State::waiting || state == State::scheduled || state == State::retrying ||
         state == State::locked;
}

bool runs(const JobPage& page) {
  return page.job.state == State::running || page.job.state == State::stalled;
}

Html fact(Literal what, const Html& value) {
  return html("<dt>{}</dt><dd>{}</dd>", what.text(), value);
}

// ---- the head ------------------------------------------------------------------------------------

Html worker_link(const JobPage& page) {
  if (!page.lease) return html("a worker that is gone");
  const std::string called = page.lease->foreign ? "a worker of Python, " + std::to_string(page.lease->id)
                                                 : page.lease->name + " on " + page.lease->host;
  return html("<a href=\"{}\"><bdi>{}</bdi></a>", Link("/workers"), called);
}

Html lead_of_running(const JobPage& page) {
  const Html since = page.started_at ? html("Has run for <b>{}</b>",
                                            duration_text(between(*page.started_at, page.reading.now)))
                                     : html("Runs");
  const Html silent =
      page.job.state == State::stalled && page.lease
          ? html(", which has been silent for <b>{}</b>", duration_text(page.lease->silent_for))
          : Html();
  const Html abort = page.abort_requested ? html(" It was asked to stop.") : Html();
  return html("{} under {}{}.{}", since, worker_link(page), silent, abort);
}

Html lead_of_ended(const JobPage& page) {
  const auto attempts = static_cast<std::int64_t>(page.attempts.size());
  const Html tried = attempts == 0 ? Html() : html(" after {}", plural(attempts, "attempt"));
  const Html when = page.ended_at ? html(", {}", ago(*page.ended_at, page.reading.now)) : Html();
  const Html why = page.job.state == State::failed && !page.job.message.empty()
                       ? html(": <b><bdi>{}</bdi></b>", page.job.message.substr(0, 500))
                       : Html();
  return html("{}{}{}{}", state_word(page.job.state), tried, when, why);
}

Html lead(const JobPage& page) {
  if (runs(page)) return lead_of_running(page);
  if (waits(page)) return html("Waits: <bdi>{}</bdi>.", page.waits_for);
  return lead_of_ended(page);
}

Html head(const JobPage& page) {
  return html(
      "<div class=\"head job\"><div class=\"grow\"><p class=\"crumb\"><a href=\"{}\">Jobs</a> › <a "
      "href=\"{}\">{}</a></p>"
      "<h1><span class=\"id\">{}</span> {}</h1></div><span data-live=\"state\">{}</span></div>"
      "<p class=\"lead\" data-live=\"lead\">{}</p>",
      Link("/jobs"), jobs_of("task", page.job.task), name(page.job.task), page.job.id, name(page.job.task),
      state_mark_big(page.job.state), lead(page));
}

// ---- what it waits for ---------------------------------------------------------------------------

Html line_entry(const sql::InLine& job, sql::JobId me, sql::DatabaseTime now) {
  const Html when =
      job.scheduled_at && between(now, *job.scheduled_at).count() > 0
          ? html("scheduled {}: it holds up those behind it until then", ago(*job.scheduled_at, now))
          : html("{}", state_word(job.state));
  if (job.id == me)
    return html(
        "<li class=\"me\">{}<div><span class=\"id\">{}</span> this job<span "
        "class=\"sub\">{}</span></div></li>",
        icon("#s-lock"), job.id, when);
  return html("<li>{}<div>{} {}<span class=\"sub\">{}</span></div></li>",
              job.state == State::running ? icon("#s-run") : icon("#s-waiting"), job_link(job.id),
              name(job.task), when);
}

Html line_panel(const JobPage& page) {
  if (!page.job.lock || !waits(page)) return {};
  Html entries;
  if (page.holder) entries += line_entry(*page.holder, page.job.id, page.reading.now);
  entries += each_of(page.line,
                     [&](const sql::InLine& job) { return line_entry(job, page.job.id, page.reading.now); });
  return html(
      "<section class=\"panel\" data-live=\"line\"><header><h2>The line of its lock</h2><div class=\"acts\">"
      "<a href=\"{}\">The whole line</a></div></header><div class=\"body\"><ol class=\"chain\">{}</ol></div>"
      "<footer><span>Order: priority, then id, whatever the queue or the time of those "
      "before.</span></footer></section>",
      Link("/locks").with("lock", *page.job.lock), entries);
}

Html queue_panel(const JobPage& page) {
  if (!waits(page)) return {};
  const std::string ahead = page.ahead_in_queue > sql::kMostCounted
                                ? "more than " + plural(sql::kMostCounted, "job")
                                : plural(page.ahead_in_queue, "job");
  return html(
      "<section class=\"panel\" data-live=\"queue\"><header><h2>What it waits for</h2></header><div "
      "class=\"body\">"
      "<dl class=\"facts\">{}{}{}</dl></div></section>",
      fact("Next", html("<bdi>{}</bdi>", page.waits_for)),
      fact("In its queue", html("{} that are due come first", ahead)),
      fact("Time", page.job.scheduled_at ? ago(*page.job.scheduled_at, page.reading.now) : html("due now")));
}

// ---- progress ------------------------------------------------------------------------------------

Html progress_panel(const JobPage& page) {
  if (!page.progress) return {};
  const sql::Progress& progress = *page.progress;
  const bool has_total = progress.total > 0;
  const double percent =
      has_total ? 100.0 * static_cast<double>(progress.done) / static_cast<double>(progress.total) : 0;
  const std::string figures = has_total ? thousands(sql::cut_to_signed(progress.done)) + " of " +
                                              thousands(sql::cut_to_signed(progress.total))
                                        : thousands(sql::cut_to_signed(progress.done)) + " done";
  return html(
      "<section class=\"panel\" data-live=\"progress\"><header><h2>Progress</h2><div class=\"acts "
      "muted\"><span>{}</span>"
      "</div></header><div class=\"body\"><div class=\"prog\"><div class=\"withbar\"><span "
      "class=\"big\">{}</span>"
      "<span class=\"muted\">{}</span></div>{}<span "
      "class=\"muted\"><bdi>{}</bdi></span></div></div></section>",
      page.progress_at ? html("told {}", ago(*page.progress_at, page.reading.now)) : Html(),
      has_total ? std::to_string(static_cast<int>(std::clamp(percent, 0.0, 100.0))) + " %" : figures,
      has_total ? figures : "", has_total ? bar(percent) : Html(), progress.note);
}

// ---- beside --------------------------------------------------------------------------------------

Html origin(const JobPage& page) {
  if (page.deferred_by) return html("by job {}", job_link(*page.deferred_by));
  if (page.schedule) return html("by a <a href=\"{}\">schedule</a>", Link("/schedules"));
  return Html();
}

Html facts_panel(const JobPage& page) {
  const sql::FleetJob& job = page.job;
  const auto now = page.reading.now;
  const auto deferred = std::find_if(page.events.begin(), page.events.end(), [](const sql::Event& event) {
    return event.type == "deferred" && event.at;
  });
  Html facts = fact("Queue", html("<a href=\"{}\">{}</a>", jobs_of("queue", job.queue), name(job.queue)));
  facts += fact("Priority", html("{}", job.priority));
  facts += fact("Lock", job.lock ? html("<a href=\"{}\">{}</a>", Link("/locks").with("lock", *job.lock),
                                        name(*job.lock))
                                 : html("<span class=\"muted\">none</span>"));
  facts += fact("Queueing lock",
                job.queueing_lock ? name(*job.queueing_lock) : html("<span class=\"muted\">none</span>"));
  if (deferred != page.events.end())
    facts += fact("Deferred", html("{} {}", ago(*deferred->at, now), origin(page)));
  if (job.scheduled_at) facts += fact("Scheduled", ago(*job.scheduled_at, now));
  facts += fact("Attempts", html("{}", job.attempts));
  if (page.ended_at) facts += fact("Ended", ago(*page.ended_at, now));
  return html(
      "<section class=\"panel\" data-live=\"facts\"><header><h2>Job</h2></header><div class=\"body\">"
      "<dl class=\"facts\">{}</dl></div></section>",
      facts);
}

Html json_panel(Literal title, const std::optional<std::string>& json) {
  return html("<section class=\"panel\"><header><h2>{}</h2></header><div class=\"body\">{}</div></section>",
              title.text(), json_block(json));
}

Html aside(const JobPage& page) {
  Html panels = facts_panel(page) + json_panel("Arguments", page.job.args);
  if (page.meta) panels += json_panel("Meta", page.meta);
  if (page.result) panels += json_panel("Result", page.result);
  panels += html(
      "<section class=\"panel\"><header><h2>From the shell</h2></header><div class=\"body\">"
      "<pre class=\"code one\">postpone jobs show {}</pre></div></section>",
      page.job.id);
  return panels;
}

}  // namespace

Page job_page(const Visit& visit) {
  const auto page = visit.fleet.job(visit.id);
  if (!page) {
    return {
        .section = Section::jobs,
        .title = "No such job",
        .main = html("<div class=\"head\"><h1>No such job</h1></div><section class=\"panel\">{}</section>",
                     empty_list("There is no job " + std::to_string(visit.id),
                                "It was never created, or it was deleted after it had ended.")),
        .status = 404};
  }
  return {.section = Section::jobs,
          .title = "Job " + std::to_string(page->job.id) + " " + page->job.task,
          .main = html("{}<div class=\"cols\"><div class=\"c8 stackv\">{}{}{}{}{}{}</div>"
                       "<aside class=\"c4 stackv\" aria-label=\"About this job\">{}</aside></div>",
                       head(*page), progress_panel(*page), line_panel(*page), queue_panel(*page),
                       timeline_panel(*page), attempts_panel(*page), events_panel(*page), aside(*page)),
          .reading = page->reading};
}

}  // namespace postpone::web

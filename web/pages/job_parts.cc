#include "web/pages/job_parts.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::DatabaseTime;
using sql::JobPage;
using sql::Seconds;

// ---- where the time went -------------------------------------------------------------------------

struct Span {
  Literal classes;
  DatabaseTime from;
  DatabaseTime to;
  std::string what;
};

std::string decimal(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string said(std::string_view what, DatabaseTime from, DatabaseTime to) {
  return std::string(what) + " " + duration_text(between(from, to));
}

// From one event to the next: waiting until it is started, and running from then on.
std::vector<Span> spans_of(const JobPage& page) {
  std::vector<Span> spans;
  bool is_running = false;
  const sql::Event* before = nullptr;
  const auto add = [&](DatabaseTime to, Literal how_it_ended, std::string_view word) {
    if (before == nullptr || !before->at->is_finite() || !to.is_finite() || to < *before->at) return;
    spans.push_back({is_running ? how_it_ended : Literal("b-wait"), *before->at, to,
                     said(is_running ? word : "waited", *before->at, to)});
  };
  for (const sql::Event& event : page.events) {
    if (!event.at || !event.type || *event.type == "scheduled" || *event.type == "abort_requested") continue;
    const bool ended_well = *event.type == "succeeded";
    add(*event.at, ended_well ? Literal("b-run") : Literal("b-fail"),
        ended_well ? "ran well" : "ended badly after");
    is_running = *event.type == "started";
    before = &event;
  }
  const bool goes_on = !page.ended_at && before != nullptr;
  if (goes_on) add(page.reading.now, "b-run", "has run for");
  return spans;
}

Html rectangle(const Span& span, DatabaseTime begin, Seconds whole) {
  const double x = 1000 * between(begin, span.from).count() / whole.count();
  const double width = std::max(2.0, 1000 * between(span.from, span.to).count() / whole.count());
  return html("<rect class=\"{}\" x=\"{}\" y=\"8\" width=\"{}\" height=\"18\"><title>{}</title></rect>",
              span.classes.text(), decimal(std::min(x, 998.0)), decimal(width), span.what);
}

Html key(Literal classes, Literal word) {
  return html(
      "<span><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{}\" x=\".5\" y=\".5\" width=\"9\""
      " height=\"9\" rx=\"2\"/></svg>{}</span>",
      classes.text(), word.text());
}

// ---- attempts ------------------------------------------------------------------------------------

Html measure(const std::optional<Seconds>& value, Literal unit) {
  return html("<span class=\"num m x\">{}<span>{}</span></span>", duration_or_dash(value), unit.text());
}

Html memory(const std::optional<std::int64_t>& bytes) {
  return html("<span class=\"num m x\">{}<span>memory</span></span>",
              bytes ? html("{}", size_text(*bytes)) : dash());
}

Html standard_error(const sql::Attempt& attempt) {
  if (attempt.stderr_tail.empty()) return {};
  return html("<h3>Last lines of standard error</h3><pre class=\"code\" tabindex=\"0\">{}</pre>",
              attempt.stderr_tail);
}

Html attempt_entry(const sql::Attempt& attempt, DatabaseTime now, bool is_open) {
  const Html worker = attempt.worker_name.empty() ? dash() : html("<bdi>{}</bdi>", attempt.worker_name);
  return html(
      "<li><details{}><summary><b>{}</b>{}<span class=\"msg cut muted\" "
      "title=\"{}\"><bdi>{}</bdi></span>{}{}{}</summary>"
      "<div class=\"more\"><dl class=\"facts\"><dt>Ended</dt><dd>{} · {}</dd><dt>Worker</dt><dd>{}</dd>"
      "<dt>Message</dt><dd><bdi>{}</bdi></dd></dl>{}</div></details></li>",
      Attribute(" open data-opened", is_open), attempt.attempt, cause_mark(attempt), attempt.message,
      attempt.message, measure(attempt.run_time, "ran"), measure(attempt.cpu_time, "CPU"),
      memory(attempt.max_rss_bytes), ago(attempt.ended_at, now), clock_text(attempt.ended_at), worker,
      attempt.message, standard_error(attempt));
}

// ---- events --------------------------------------------------------------------------------------

Html event_icon(std::string_view type) {
  if (type == "started") return icon("#s-run");
  if (type == "deferred_for_retry" || type == "retried") return icon("#s-retry");
  if (type == "succeeded") return icon("#s-ok");
  if (type == "failed") return icon("#s-fail");
  if (type == "cancelled") return icon("#s-cancel");
  if (type == "aborted" || type == "abort_requested") return icon("#s-abort");
  if (type == "scheduled") return icon("#s-sched");
  return icon("#i-add");
}

std::string event_word(const sql::Event& event) {
  std::string word = event.type.value_or("an event without a type");
  std::replace(word.begin(), word.end(), '_', ' ');
  if (!word.empty() && word.front() >= 'a' && word.front() <= 'z')
    word.front() = static_cast<char>(word.front() - 32);
  return word;
}

Html event_entry(const sql::Event& event, const sql::Event* before) {
  const bool has_before = before != nullptr && before->at && event.at;
  return html("<li>{}<span>{}</span><span class=\"id\">{}</span><span class=\"id num\">{}</span></li>",
              event_icon(event.type.value_or("")), event_word(event),
              event.at ? html("<time datetime=\"{}\" title=\"{} UTC\">{}</time>", iso_text(*event.at),
                              utc_text(*event.at), clock_text(*event.at))
                       : Html(),
              has_before ? "+" + duration_text(between(*before->at, *event.at)) : "");
}

}  // namespace

Html timeline_panel(const JobPage& page) {
  const std::vector<Span> spans = spans_of(page);
  if (spans.empty()) return {};
  const DatabaseTime begin = spans.front().from;
  const Seconds whole = std::max(between(begin, spans.back().to), Seconds(0.001));
  std::string sentence;
  for (const Span& span : spans) sentence += (sentence.empty() ? "" : ", ") + span.what;
  return html(
      "<section class=\"panel\" data-live=\"timeline\"><header><h2>Where the time went</h2><div "
      "class=\"acts\">"
      "<div class=\"legend\">{}{}{}</div></div></header><div class=\"body\"><figure class=\"timeline\">"
      "<svg class=\"chart\" viewBox=\"0 0 1000 34\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-label=\"{}\">{}</svg>"
      "<div class=\"x\" aria-hidden=\"true\"><span>{}</span><span>{}</span></div></figure></div></section>",
      key("b-wait", "waited"), key("b-run", "ran well"), key("b-fail", "ended badly"), sentence,
      each_of(spans, [&](const Span& span) { return rectangle(span, begin, whole); }), clock_text(begin),
      clock_text(spans.back().to));
}

Html attempts_panel(const JobPage& page) {
  if (page.attempts.empty()) return {};
  Html entries;
  for (std::size_t i = page.attempts.size(); i-- > 0;) {
    const bool is_open = i + 1 == page.attempts.size() && page.attempts[i].cause != sql::Cause::succeeded;
    entries += attempt_entry(page.attempts[i], page.reading.now, is_open);
  }
  return html(
      "<section class=\"panel\" data-live=\"attempts\"><header><h2>Attempts</h2><div class=\"acts muted\">"
      "<span>newest first</span></div></header><ol class=\"att\">{}</ol></section>",
      entries);
}

Html events_panel(const JobPage& page) {
  Html entries;
  const sql::Event* before = nullptr;
  for (const sql::Event& event : page.events) {
    entries += event_entry(event, before);
    before = &event;
  }
  return html(
      "<section class=\"panel\" data-live=\"events\"><header><h2>Events</h2><div class=\"acts muted\">"
      "<span>since the event before</span></div></header><div class=\"body\"><ol "
      "class=\"events\">{}</ol></div></section>",
      entries);
}

}  // namespace postpone::web

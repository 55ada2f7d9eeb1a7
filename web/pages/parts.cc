#include "web/pages/parts.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "sys/utf8.h"
#include "web/html/json_colours.h"

namespace postpone::web {
namespace {

using sql::State;

struct Look {
  Literal classes;
  Literal symbol;
  Literal word;
};

Look look_of(State state) {
  switch (state) {
    case State::waiting:
      return {"st st-waiting", "#s-waiting", "Waiting"};
    case State::scheduled:
      return {"st st-scheduled", "#s-sched", "Scheduled"};
    case State::retrying:
      return {"st st-retrying", "#s-retry", "Will retry"};
    case State::locked:
      return {"st st-locked", "#s-lock", "Behind lock"};
    case State::running:
      return {"st st-running", "#s-run", "Running"};
    case State::stalled:
      return {"st st-stalled", "#i-warn", "Stalled"};
    case State::succeeded:
      return {"st st-succeeded", "#s-ok", "Succeeded"};
    case State::failed:
      return {"st st-failed", "#s-fail", "Failed"};
    case State::cancelled:
      return {"st st-cancelled", "#s-cancel", "Cancelled"};
    case State::aborted:
      return {"st st-aborted", "#s-abort", "Aborted"};
  }
  return {"st", "#s-idle", "?"};
}

// Where the end of a long name begins that stays to be seen: 14 characters at most, and no half of one.
std::size_t tail_of(std::string_view text) {
  constexpr std::size_t kShown = 14;
  constexpr std::size_t kLong = 40;
  if (text.size() <= kLong) return text.size();
  std::size_t at = text.size() - kShown;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  return at;
}

std::string percent_text(double percent) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", std::clamp(percent, 0.0, 100.0));
  return text.data();
}

}  // namespace

Html icon(Literal symbol) {
  return icon(symbol, "i");
}

Html icon(Literal symbol, Literal classes) {
  return html("<svg class=\"{}\" aria-hidden=\"true\"><use href=\"{}\"/></svg>", classes.text(),
              Link(symbol));
}

Html name(std::string_view text) {
  if (text.empty()) return html("<span class=\"name muted\">(empty)</span>");
  const std::size_t tail = tail_of(text);
  if (tail == text.size()) return html("<span class=\"name\"><bdi>{}</bdi></span>", text);
  return html("<span class=\"name\" title=\"{}\"><bdi>{}</bdi><bdi>{}</bdi></span>", text,
              text.substr(0, tail), text.substr(tail));
}

Html dash() {
  return html("<span class=\"muted\">–</span>");
}

Html name_or_dash(const std::optional<std::string>& text) {
  return text ? name(*text) : dash();
}

Html state_mark(State state) {
  const Look look = look_of(state);
  return html("<span class=\"{}\">{}{}</span>", look.classes.text(), icon(look.symbol), look.word.text());
}

Html state_mark_big(State state) {
  const Look look = look_of(state);
  return html("<span class=\"{} st-big\">{}{}</span>", look.classes.text(), icon(look.symbol),
              look.word.text());
}

std::string_view state_word(State state) {
  return look_of(state).word.text();
}

std::string cause_word(std::string_view cause, std::string_view detail) {
  if (cause == "signalled" && !detail.empty()) return std::string(detail);
  if (cause == "exited" && !detail.empty()) return "exit " + std::string(detail);
  if (cause == "exception" && !detail.empty()) return "exception " + std::string(detail);
  std::string words(cause);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

Html cause_mark(const sql::Attempt& attempt) {
  if (attempt.cause == sql::Cause::succeeded) return state_mark(State::succeeded);
  if (attempt.cause == sql::Cause::aborted) return state_mark(State::aborted);
  std::string detail = attempt.exception_type;
  if (attempt.signal) detail = "signal " + std::to_string(*attempt.signal);
  if (attempt.exit_status) detail = "status " + std::to_string(*attempt.exit_status);
  std::string word = cause_word(sql::to_string(attempt.cause), detail);
  word.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(word.front())));
  return html("<span class=\"st st-failed\">{}{}</span>", icon("#s-fail"), word);
}

Link job_at(sql::JobId id) {
  return Link("/jobs/", id);
}

Html job_link(sql::JobId id) {
  return html("<a class=\"id\" href=\"{}\">{}</a>", job_at(id), id);
}

Html job_pair(sql::JobId id, std::string_view task) {
  return html("<a class=\"pair\" href=\"{}\"><span class=\"id\">{}</span> {}</a>", job_at(id), id,
              name(task));
}

// As a word of the search, which quotes what has a space.
Link jobs_of(Literal field, const std::string& value) {
  return Link("/jobs").with(field, value);
}

Html bar(double percent) {
  const std::string width = percent_text(percent);
  return html(
      "<svg class=\"bar\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{} "
      "%\">"
      "<rect width=\"{}\" height=\"6\"/></svg>",
      width, width);
}

Html progress_bar(const std::optional<sql::Progress>& progress) {
  if (!progress) return html("<span class=\"muted\">no progress told</span>");
  const Html note = html("<span class=\"sub cut\"><bdi>{}</bdi></span>", progress->note);
  if (progress->total == 0) return html("{} done{}", progress->done, note);
  const double percent = 100.0 * static_cast<double>(progress->done) / static_cast<double>(progress->total);
  return html("<span class=\"withbar\">{}<span class=\"num\">{} %</span></span>{}", bar(percent),
              static_cast<int>(std::clamp(percent, 0.0, 100.0)), note);
}

Html json_block(const std::optional<std::string>& json) {
  if (!json) return html("<p class=\"muted\">hidden by --hide-arguments</p>");
  return html("<pre class=\"code\" tabindex=\"0\">{}</pre>", coloured_json(*json));
}

Html notice(Literal classes, std::string_view what, std::string_view more) {
  return html(
      "<section class=\"{}\">{}<div class=\"grow\"><b>{}</b><span class=\"sub\">{}</span></div></section>",
      classes.text(), icon("#i-warn"), what, more);
}

Html empty_list(std::string_view what, std::string_view more) {
  return html("<div class=\"empty\">{}<h2>{}</h2><p>{}</p></div>", icon("#i-search"), what, more);
}

}  // namespace postpone::web

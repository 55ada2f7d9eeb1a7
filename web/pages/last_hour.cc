#include "web/pages/last_hour.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::Minute;

constexpr int kMinutes = 60;
constexpr double kHigh = 120;  // of the part above the line
constexpr double kLow = 54;

using Minutes = std::array<Minute, kMinutes>;

Minutes minutes_of(const sql::FleetFigures& figures) {
  Minutes minutes{};
  const std::int64_t first = figures.reading.now.seconds() / 60 - kMinutes + 1;
  for (int i = 0; i < kMinutes; ++i) minutes.at(static_cast<std::size_t>(i)).minute = first + i;
  for (const Minute& minute : figures.minutes)
    if (minute.minute >= first && minute.minute < first + kMinutes)
      minutes.at(static_cast<std::size_t>(minute.minute - first)) = minute;
  return minutes;
}

std::int64_t badly(const Minute& minute) {
  return minute.failed + minute.retried + minute.aborted;
}

// 1, 2 or 5 and zeros: the first that is not less.
std::int64_t round_up(std::int64_t most) {
  std::int64_t step = 1;
  for (;; step *= 10)
    for (const std::int64_t factor : {1, 2, 5})
      if (step * factor >= most) return step * factor;
}

std::string decimal(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string minute_text(std::int64_t minute) {
  return clock_text(sql::DatabaseTime::from_count((minute * 60 - sql::DatabaseTime::kEpoch) * 1'000'000))
      .substr(0, 5);
}

Html rectangle(Literal classes, int x, double y, double height) {
  if (height <= 0) return {};
  return html("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"8\" height=\"{}\"/>", classes.text(), x * 10 + 1,
              decimal(y), decimal(height));
}

Html well(const Minute& minute, int x, std::int64_t most) {
  const double height = kHigh * static_cast<double>(minute.succeeded) / static_cast<double>(most);
  return html("<g><title>{}  {} succeeded</title>{}{}</g>", minute_text(minute.minute),
              thousands(minute.succeeded), rectangle("b-okbar", x, kHigh - height, height),
              rectangle("b-ok", x, kHigh - height, std::min(2.0, height)));
}

Html not_well(const Minute& minute, int x, std::int64_t most) {
  const auto height = [&](std::int64_t count) {
    return kLow * static_cast<double>(count) / static_cast<double>(most);
  };
  const double failed = height(minute.failed);
  const double retried = height(minute.retried);
  return html("<g><title>{}  {} retried, {} failed, {} aborted</title>{}{}{}</g>", minute_text(minute.minute),
              thousands(minute.retried), thousands(minute.failed), thousands(minute.aborted),
              rectangle("b-fail", x, 0, failed), rectangle("b-retry", x, failed, retried),
              rectangle("b-abort", x, failed + retried, height(minute.aborted)));
}

Html key(Literal classes, Literal word) {
  return html(
      "<span><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"{}\" x=\".5\" y=\".5\" "
      "width=\"9\" height=\"9\""
      " rx=\"2\"/></svg>{}</span>",
      classes.text(), word.text());
}

Html as_table(const Minutes& minutes) {
  Html rows;
  for (const Minute& minute : minutes)
    if (minute.succeeded + badly(minute) > 0)
      rows += html(
          "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>\n",
          minute_text(minute.minute), thousands(minute.succeeded), thousands(minute.failed),
          thousands(minute.retried));
  return html(
      "<details><summary>As a table</summary><div class=\"scroll\"><table><thead><tr><th>Minute</th>"
      "<th class=\"num\">Succeeded</th><th class=\"num\">Failed</th><th "
      "class=\"num\">Retried</th></tr></thead><tbody>{}"
      "</tbody></table></div></details>",
      rows);
}

std::string sentence(const Minutes& minutes) {
  std::int64_t succeeded = 0;
  std::int64_t bad = 0;
  for (const Minute& minute : minutes) {
    succeeded += minute.succeeded;
    bad += badly(minute);
  }
  return "Attempts per minute over the last hour: " + thousands(succeeded) + " succeeded, " + thousands(bad) +
         " ended badly.";
}

Html columns(const Minutes& minutes, std::int64_t most, Html (*column)(const Minute&, int, std::int64_t)) {
  int x = 0;
  return each_of(minutes, [&](const Minute& minute) { return column(minute, x++, most); });
}

Html plot(const Minutes& minutes) {
  std::int64_t high = 1;
  std::int64_t low = 1;
  for (const Minute& minute : minutes) {
    high = std::max(high, minute.succeeded);
    low = std::max(low, badly(minute));
  }
  high = round_up(high);
  low = round_up(low);
  return html(
      "<figure class=\"plot\" role=\"img\" aria-label=\"{}\"><div class=\"y\" "
      "aria-hidden=\"true\"><span>{}</span>"
      "<span>0</span></div><svg viewBox=\"0 0 600 120\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<path class=\"grid\" d=\"M0 0H600M0 60H600\"/>{}<path class=\"zero\" d=\"M0 120H600\"/></svg>"
      "<div class=\"y\" aria-hidden=\"true\"><span></span><span>{}</span></div>"
      "<svg class=\"low\" viewBox=\"0 0 600 54\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
      "<path class=\"grid\" d=\"M0 27H600M0 54H600\"/>{}</svg>"
      "<div class=\"x\" aria-hidden=\"true\"><span>{}</span><span>{}</span><span>{}</span></div></figure>",
      sentence(minutes), thousands(high), columns(minutes, high, well), thousands(low),
      columns(minutes, low, not_well), minute_text(minutes.front().minute),
      minute_text(minutes.at(kMinutes / 2).minute), minute_text(minutes.back().minute));
}

}  // namespace

Html last_hour(const sql::FleetFigures& figures) {
  const Minutes minutes = minutes_of(figures);
  const Html reach = figures.minutes_from
                         ? html("<span>The latest 20,000 events were read; they reach back to {}.</span>",
                                ago(*figures.minutes_from, figures.reading.now))
                         : Html();
  return html(
      "<section class=\"panel\" data-live=\"hour\" aria-labelledby=\"oc-h\"><header><h2 id=\"oc-h\">Attempts "
      "per minute</h2>"
      "<div class=\"acts\"><div class=\"legend\">{}{}{}{}</div></div></header><div class=\"body\">{}</div>"
      "<footer><span>Below the line: a scale of its own</span>{}{}</footer></section>",
      key("b-ok", "succeeded"), key("b-fail", "failed"), key("b-retry", "retried"), key("b-abort", "aborted"),
      plot(minutes), reach, as_table(minutes));
}

}  // namespace postpone::web

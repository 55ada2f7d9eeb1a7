// Locks: who holds each, who waits for it, who comes next.
#include "web/page.h"
#include "web/pages/lock_lines.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::InLine;
using sql::LockLine;

bool holds_up(const LockLine& lock, sql::DatabaseTime now) {
  return lock.next && lock.next->scheduled_at && between(now, *lock.next->scheduled_at).count() > 0 &&
         lock.waiting.count > 1;
}

Html holder_cell(const LockLine& lock) {
  if (!lock.holder) return html("<span class=\"warn\">not held</span>");
  return html("{}<span class=\"sub cut\"><bdi>{}</bdi></span>", job_pair(lock.holder->id, lock.holder->task),
              lock.holder_worker);
}

Html next_cell(const LockLine& lock, sql::DatabaseTime now) {
  if (!lock.next) return dash();
  const Html pair = job_pair(lock.next->id, lock.next->task);
  if (!lock.next->scheduled_at || between(now, *lock.next->scheduled_at).count() <= 0)
    return html("{}<span class=\"sub cut\">due</span>", pair);
  return holds_up(lock, now)
             ? html("{}<span class=\"sub cut warn\">{}: holds up the rest</span>", pair,
                    ago(*lock.next->scheduled_at, now))
             : html("{}<span class=\"sub cut\">{}</span>", pair, ago(*lock.next->scheduled_at, now));
}

Html row(const LockLine& lock, sql::DatabaseTime now) {
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a></td>"
      "<td role=\"cell\" class=\"p-sub\">{}</td><td role=\"cell\" class=\"p-end num\">{}</td>"
      "<td role=\"cell\" class=\"p-sub2 num\"><b>{}</b></td><td role=\"cell\" "
      "class=\"p-hide\">{}</td></tr>\n",
      Link("/locks").with("lock", lock.lock), name(lock.lock), holder_cell(lock),
      duration_or_dash(lock.held_for), count_text(lock.waiting), next_cell(lock, now));
}

Html table(const sql::LocksPage& page, bool is_search) {
  if (page.locks.empty())
    return empty_list(is_search ? "Nobody holds this lock, and nobody waits for it" : "No lock is held",
                      "A job has a lock when it was deferred with one.");
  return html(
      "<table role=\"table\" class=\"rows nochk fixed tall\"><thead role=\"rowgroup\"><tr role=\"row\">"
      "<th role=\"columnheader\">Lock</th><th role=\"columnheader\">Held by</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">For</th><th role=\"columnheader\" class=\"num "
      "w-xs\">Wait</th>"
      "<th role=\"columnheader\">Next</th></tr></thead><tbody role=\"rowgroup\" "
      "data-rows>\n{}</tbody></table>",
      each_of(page.locks, [&](const LockLine& lock) { return row(lock, page.reading.now); }));
}

Html line_panel(const sql::LocksPage& page) {
  if (page.line.empty()) return {};
  return html(
      "<section class=\"panel\" data-live=\"line\"><header><h2>The line</h2><div class=\"acts muted\">"
      "<span>the first 50: priority, then id</span></div></header><div class=\"body\"><ol "
      "class=\"chain\">{}</ol></div>"
      "</section>",
      each_of(page.line, [&](const InLine& job) {
        return html(
            "<li>{}<div>{} {}<span class=\"sub\">{}</span></div></li>", icon("#s-waiting"), job_link(job.id),
            name(job.task),
            job.scheduled_at ? html("scheduled {}", ago(*job.scheduled_at, page.reading.now)) : html("due"));
      }));
}

Html warning(const sql::LocksPage& page) {
  std::int64_t held_up = 0;
  for (const LockLine& lock : page.locks)
    if (!lock.holder && holds_up(lock, page.reading.now)) ++held_up;
  if (held_up == 0) return {};
  return notice(
      "note warn", plural(held_up, "line") + " stand still behind a scheduled job.",
      "A job that cannot run yet holds up those behind it: cancel it, move it, or give the others a higher "
      "priority.");
}

}  // namespace

Page locks_page(const Visit& visit) {
  const std::string lock = visit.query.get("lock");
  const sql::LocksPage page = visit.fleet.locks(lock.empty() ? std::nullopt : std::optional(lock), 200);
  const Html note = lock.empty()
                        ? html("held ones, and those for which a fetch has found a job waiting{}",
                               page.is_more ? "; the first 200" : "")
                        : html("only <b>{}</b> · <a href=\"{}\">all</a>", name(lock), Link("/locks"));
  return {
      .section = Section::locks,
      .title = "Locks",
      .main = html(
          "<div class=\"head\"><h1>Locks</h1><p>{}</p><div class=\"acts\">"
          "<form class=\"inline\" role=\"search\" aria-label=\"Find a lock\" method=\"get\" "
          "action=\"{}\"><label class=\"vh\" "
          "for=\"lk\">"
          "Lock</label><input type=\"search\" id=\"lk\" name=\"lock\" value=\"{}\" placeholder=\"Name of a "
          "lock\"></form></div></div><div class=\"stackv\" data-live=\"locks\">{}<section class=\"panel\">{}"
          "</section></div>{}",
          note, Link("/locks"), lock, warning(page), table(page, !lock.empty()), line_panel(page)),
      .reading = page.reading};
}

// ---- of the overview -----------------------------------------------------------------------------

Html longest_lines(const sql::LocksPage& page) {
  if (page.locks.empty()) return {};
  const auto shown = static_cast<std::ptrdiff_t>(std::min<std::size_t>(5, page.locks.size()));
  const std::vector<LockLine> first(page.locks.begin(), page.locks.begin() + shown);
  return html(
      "<section class=\"panel\" data-live=\"locks\" aria-labelledby=\"lk-h\"><header><h2 id=\"lk-h\">Locks "
      "with the longest "
      "line</h2><div class=\"acts\"><a href=\"{}\">Locks</a></div></header><table class=\"fixed "
      "tall\"><thead><tr>"
      "<th>Lock</th><th class=\"num w-xs\">Wait</th><th class=\"num w-md\">Held "
      "for</th></tr></thead><tbody>{}</tbody>"
      "</table></section>",
      Link("/locks"), each_of(first, [](const LockLine& lock) {
        return html(
            "<tr><td><a class=\"cut\" href=\"{}\">{}</a></td><td class=\"num\">{}</td><td "
            "class=\"num\">{}</td></tr>",
            Link("/locks").with("lock", lock.lock), name(lock.lock), count_text(lock.waiting),
            lock.holder ? duration_or_dash(lock.held_for) : html("<span class=\"warn\">not held</span>"));
      }));
}

}  // namespace postpone::web

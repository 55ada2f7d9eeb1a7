// Attempts that ended badly, those of one task and one cause together.
#include "web/page.h"
#include "web/pages/failure_groups.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::FailureGroup;

Html facts(const FailureGroup& group, sql::DatabaseTime now) {
  return html(
      "<dl class=\"facts\"><dt>First, last</dt><dd>{}, {}</dd><dt>Workers</dt><dd><bdi>{}</bdi></dd>"
      "<dt>Failed for good</dt><dd>{}</dd><dt>Latest job</dt><dd>{}</dd></dl>",
      ago(group.first, now), ago(group.last, now), group.workers.empty() ? "not known" : group.workers,
      plural(group.failed_jobs, "job"), job_link(group.latest_job));
}

Html standard_error(const FailureGroup& group) {
  if (group.stderr_tail.empty()) return {};
  return html("<h3>Standard error of the latest, job {}</h3><pre class=\"code\" tabindex=\"0\">{}</pre>",
              job_link(group.latest_job), group.stderr_tail);
}

Html group_entry(const FailureGroup& group, sql::DatabaseTime now, bool is_first) {
  const Link jobs =
      Link("/jobs").with("status", "failed").with("task", group.task).with("cause", group.cause);
  return html(
      "<li><details{}><summary class=\"group\"><div><span class=\"t\">{}{}<span class=\"tag "
      "bad\"><bdi>{}</bdi></span></span>"
      "<span class=\"sub cut\" title=\"{}\"><bdi>{}</bdi></span></div><span class=\"m x\"></span>"
      "<span class=\"num m\"><b class=\"v\">{}</b><span>{}</span></span>"
      "<span class=\"num m x\">{}<span>failed for good</span></span><span class=\"num m "
      "x\">{}<span>last</span></span>"
      "</summary><div class=\"more\"><p><bdi>{}</bdi></p>{}{}<div class=\"inlinebtns\">"
      "<a class=\"btn sm\" href=\"{}\">The failed jobs</a></div></div></details></li>",
      Attribute(" open data-opened", is_first), icon("#s-fail", "i bad"), name(group.task),
      cause_word(group.cause, group.detail), group.message, group.message, thousands(group.attempts),
      group.attempts == 1 ? "attempt" : "attempts", thousands(group.failed_jobs), ago(group.last, now),
      group.message, standard_error(group), facts(group, now), jobs);
}

Html groups(const sql::FailuresPage& page) {
  if (page.groups.empty())
    return empty_list("No attempt has ended badly",
                      "Among the 20,000 latest events of all jobs there is none.");
  std::size_t at = 0;
  return html("<ul class=\"groups\">{}</ul>", each_of(page.groups, [&](const FailureGroup& group) {
                return group_entry(group, page.reading.now, at++ == 0);
              }));
}

Html footer(const sql::FailuresPage& page) {
  if (!page.older_from) return html("<footer><span>All events were read.</span></footer>");
  return html(
      "<footer><span>20,000 events were read, back to {}.</span><nav class=\"pager\" aria-label=\"Pages\">"
      "<a class=\"btn sm\" rel=\"next\" href=\"{}\">Older →</a></nav></footer>",
      page.from ? ago(*page.from, page.reading.now) : Html(),
      Link("/failures").with("before", *page.older_from));
}

}  // namespace

Page failures_page(const Visit& visit) {
  const sql::FailuresPage page = visit.fleet.failures(visit.query.id("before"));
  return {.section = Section::failures,
          .title = "Failures",
          .main = html(
              "<div class=\"head\"><h1>Failures</h1><p>attempts that ended badly, of one task and one cause "
              "together</p></div><section class=\"panel\" data-live=\"groups\"><header><h2>{}</h2>"
              "<span class=\"sub\">{}</span><div class=\"acts\"><span class=\"muted\">most first</span></div>"
              "</header>{}{}</section>",
              plural(static_cast<std::int64_t>(page.groups.size()), "group"),
              plural(page.attempts, "attempt"), groups(page), footer(page)),
          .reading = page.reading};
}

// ---- of the overview -----------------------------------------------------------------------------

Html failing_most(const sql::FailuresPage& page) {
  if (page.groups.empty()) return {};
  std::vector<FailureGroup> first(
      page.groups.begin(),
      page.groups.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(5, page.groups.size())));
  return html(
      "<section class=\"panel\" data-live=\"failing\" aria-labelledby=\"fm-h\"><header><h2 "
      "id=\"fm-h\">Failing most</h2>"
      "<div class=\"acts\"><a href=\"{}\">Failures</a></div></header><table role=\"table\" class=\"rows "
      "nochk fixed tall\">"
      "<thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\">Task, message</th>"
      "<th role=\"columnheader\" class=\"w-lg\">Cause</th><th role=\"columnheader\" class=\"num "
      "w-sm\">Attempts</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Last</th></tr></thead><tbody role=\"rowgroup\" "
      "data-rows>{}</tbody>"
      "</table></section>",
      Link("/failures"), each_of(first, [&](const FailureGroup& group) {
        return html(
            "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a>"
            "<span class=\"sub cut\" title=\"{}\"><bdi>{}</bdi></span></td><td role=\"cell\" class=\"p-sub\">"
            "<span class=\"tag cut\"><bdi>{}</bdi></span></td><td role=\"cell\" class=\"p-end "
            "num\"><b>{}</b></td>"
            "<td role=\"cell\" class=\"p-sub2 num muted\">{}</td></tr>",
            job_at(group.latest_job), name(group.task), group.message, group.message,
            cause_word(group.cause, group.detail), thousands(group.attempts),
            ago(group.last, page.reading.now));
      }));
}

}  // namespace postpone::web

#include "web/pages/first_run.h"

#include "web/pages/parts.h"

namespace postpone::web {
namespace {

Html schema_step(const sql::Reading& reading) {
  return html(
      "<li class=\"done\"><span class=\"no\">✓</span><div class=\"what\"><h2>The schema is installed</h2>"
      "<p class=\"muted\">Version {} in <b><bdi>{}</bdi></b>.</p></div></li>",
      reading.schema_version, reading.database);
}

Html supervisor_step(const sql::WorkersPage& page) {
  if (!page.workers.empty())
    return html(
        "<li class=\"done\"><span class=\"no\">✓</span><div class=\"what\"><h2>A supervisor works</h2>"
        "<p class=\"muted\">{} have registered: <a href=\"{}\">Workers</a>.</p></div></li>",
        plural(static_cast<std::int64_t>(page.workers.size()), "worker"), Link("/workers"));
  return html(
      "<li class=\"now\"><span class=\"no\">2</span><div class=\"what\"><h2>Start a supervisor</h2>"
      "<p class=\"muted\">No worker has registered in this database. This page moves on by itself when one "
      "does.</p>"
      "<pre class=\"code one\">postpone-supervisor --config kitchen.toml</pre>"
      "<p class=\"muted\">As a service: <code>systemctl enable --now postpone@kitchen</code>. Does it not "
      "appear? "
      "<code>postpone config check kitchen.toml</code> names what is wrong, by line.</p></div></li>");
}

Html job_step(bool is_next) {
  return html(
      "<li class=\"{}\"><span class=\"no\">3</span><div class=\"what\"><h2>Create a job</h2>"
      "<p class=\"muted\">From SQL, inside your own transaction if you like, or from the shell. It waits "
      "until a "
      "supervisor serves its queue.</p><pre class=\"code one\">{}</pre><pre class=\"code "
      "one\">{}</pre></div></li>",
      is_next ? "now" : "later",
      R"(SELECT postpone_defer('dishes.wash', '{"dish": "plate", "times": 2}', queue => 'kitchen');)",
      R"(postpone defer dishes.wash '{"dish": "plate", "times": 2}' --queue kitchen)");
}

}  // namespace

Page first_run(const sql::FleetFigures& figures, const sql::WorkersPage& workers) {
  return {.section = Section::overview,
          .title = "Nothing has run yet",
          .main = html("<div class=\"head\"><h1>Nothing has run yet</h1><p>The database is ready. Three "
                       "steps to the first "
                       "job.</p></div><section class=\"panel\" data-live=\"steps\"><ol "
                       "class=\"steps\">{}{}{}</ol></section>",
                       schema_step(figures.reading), supervisor_step(workers),
                       job_step(!workers.workers.empty())),
          .reading = figures.reading};
}

}  // namespace postpone::web

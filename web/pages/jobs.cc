// The list of jobs: tabs, search, one page of it.
#include <algorithm>

#include "web/page.h"
#include "web/pages/parts.h"
#include "web/search.h"

namespace postpone::web {
namespace {

using sql::FleetJob;
using sql::State;
using Tab = sql::JobSearch::Tab;

// ---- above the list ------------------------------------------------------------------------------

Html tab(Tab which, const Search& search, const std::string& count) {
  return html("<a href=\"{}\"{}>{}{}</a>", link_of(which, search.jobs.conditions),
              Attribute(" aria-current=\"page\"", which == search.jobs.tab), tab_word(which),
              count.empty() ? Html() : html("<span class=\"n\">{}</span>", count));
}

// What has no index is not counted.
Html tabs(const Search& search, const sql::JobCounts& counts) {
  return html("<nav class=\"tabs\" aria-label=\"Status\" data-live=\"tabs\">{}{}{}{}{}{}{}{}</nav>",
              tab(Tab::all, search, about(counts.all)), tab(Tab::waiting, search, count_text(counts.waiting)),
              tab(Tab::scheduled, search, count_text(counts.scheduled)),
              tab(Tab::running, search, count_text(counts.running)), tab(Tab::failed, search, ""),
              tab(Tab::succeeded, search, ""), tab(Tab::cancelled, search, ""),
              tab(Tab::aborted, search, ""));
}

Html argument_field(bool hide_arguments) {
  if (hide_arguments) return {};
  return html(
      "<label class=\"field\"><span>Argument</span><input type=\"text\" name=\"args\""
      " placeholder=\"customer_id=4711\"></label>");
}

Html filter_form(const Search& search, bool hide_arguments) {
  const std::string words = words_of(search.jobs.conditions);
  const Html status =
      search.jobs.tab == Tab::all
          ? Html()
          : html("<input type=\"hidden\" name=\"status\" value=\"{}\">", to_string(search.jobs.tab));
  return html(
      "<form class=\"filters\" method=\"get\" action=\"{}\" role=\"search\" aria-label=\"Filter jobs\">{}"
      "<div class=\"q\"><label class=\"vh\" for=\"q\">Filter</label><input type=\"text\" id=\"q\" name=\"q\" "
      "value=\"{}\""
      " spellcheck=\"false\" autocomplete=\"off\""
      " placeholder=\"task:invoice.* queue:mail -task:cache.sweep{}\"></div>"
      "<details class=\"drop\"><summary class=\"btn\">Narrow down</summary><div>"
      "<label class=\"field\"><span>Queue</span><input type=\"text\" name=\"queue\"></label>"
      "<label class=\"field\"><span>Task</span><input type=\"text\" name=\"task\"></label>"
      "<label class=\"field\"><span>Lock</span><input type=\"text\" name=\"lock\"></label>"
      "<label class=\"field\"><span>Last attempt ended by</span><input type=\"text\" name=\"cause\""
      " placeholder=\"timed_out\"></label>"
      "{}<button class=\"btn main-act\">Narrow down</button></div></details>"
      "<button class=\"btn\">Filter</button></form>",
      Link("/jobs"), status, words, hide_arguments ? "" : " args.customer_id=4711",
      argument_field(hide_arguments));
}

Html chip(const Search& search, std::size_t which) {
  const sql::JobCondition& condition = search.jobs.conditions[which];
  const bool is_equal = is_id_equal(search.jobs.conditions, which);
  const std::string label = is_equal ? "id" : label_of(condition);
  auto others = search.jobs.conditions;
  const auto at = others.begin() + static_cast<std::ptrdiff_t>(which);
  others.erase(at, at + (is_equal ? 2 : 1));
  return html(
      "<span class=\"chip\"><span><i>{}</i>{}</span><a href=\"{}\" aria-label=\"Remove {} {}\">✕</a></span>",
      label, name(condition.value), link_of(search.jobs.tab, others), label, condition.value);
}

Html chips(const Search& search) {
  if (search.jobs.conditions.empty()) return {};
  Html all;
  for (std::size_t i = 0; i < search.jobs.conditions.size(); ++i) {
    all += chip(search, i);
    if (is_id_equal(search.jobs.conditions, i)) ++i;  // that chip stands for both
  }
  return html("<div class=\"chips\"><span>Only</span>{}<a href=\"{}\">Clear</a></div>", all,
              link_of(search.jobs.tab, {}));
}

Html faults(const Search& search) {
  if (search.faults.empty()) return {};
  std::string words;
  for (const std::string& fault : search.faults) words += (words.empty() ? "" : ", ") + fault;
  return notice(
      "note warn", "Left out of the search: " + words,
      "Known are task: queue: lock: queueing_lock: cause: id: and args.NAME=VALUE, each with a value.");
}

// ---- the list ------------------------------------------------------------------------------------

std::string state_detail(const FleetJob& job, sql::DatabaseTime now) {
  const std::string cause = job.cause ? cause_word(*job.cause, "") : "";
  switch (job.state) {
    case State::scheduled:
      return job.scheduled_at ? ago_text(*job.scheduled_at, now) : "";
    case State::retrying:
      return cause + (job.scheduled_at ? ", again " + ago_text(*job.scheduled_at, now) : "");
    case State::running:
      return job.worker;
    case State::stalled:
      return job.worker.empty() ? "its worker is gone" : job.worker + " is silent";
    case State::failed:
      return job.message.empty() ? cause : job.message.substr(0, 300);
    case State::aborted:
      return cause;
    default:
      return "";
  }
}

Html state_cell(const FleetJob& job, sql::DatabaseTime now) {
  const std::string detail = state_detail(job, now);
  if (detail.empty()) return state_mark(job.state);
  return html("{}<span class=\"sub cut\" title=\"{}\"><bdi>{}</bdi></span>", state_mark(job.state), detail,
              detail);
}

Html arguments(const FleetJob& job) {
  if (!job.args) return {};
  constexpr std::size_t kShown = 200;
  return html("<span class=\"args cut\"><bdi>{}{}</bdi></span>", job.args->substr(0, kShown),
              job.args_are_cut || job.args->size() > kShown ? "…" : "");
}

Html row(const FleetJob& job, sql::DatabaseTime now) {
  const Html lock = job.lock ? html("<a class=\"quiet cut\" href=\"{}\">{}</a>",
                                    Link("/locks").with("lock", *job.lock), name(*job.lock))
                             : dash();
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-hide id\"><a class=\"quiet\" href=\"{}\" "
      "tabindex=\"-1\">{}</a></td>\n"
      "<td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a>{}</td>"
      "<td role=\"cell\" class=\"p-sub\">{}</td>"
      "<td role=\"cell\" class=\"p-hide\"><a class=\"quiet cut\" href=\"{}\">{}</a></td>"
      "<td role=\"cell\" class=\"p-hide l-only\">{}</td>"
      "<td role=\"cell\" class=\"p-hide num m-only\">{}</td><td role=\"cell\" class=\"p-sub2 num\">{}</td>"
      "<td role=\"cell\" class=\"p-end num muted\">{}</td></tr>\n",
      job_at(job.id), job.id, job_at(job.id), name(job.task), arguments(job), state_cell(job, now),
      jobs_of("queue", job.queue), name(job.queue), lock, job.attempts, duration_or_dash(job.run_time),
      ago_or_dash(job.last_event_at, now));
}

Html table(const sql::JobsPage& page) {
  return html(
      "<table class=\"rows nochk fixed tall\" role=\"table\"><thead role=\"rowgroup\"><tr role=\"row\">"
      "<th role=\"columnheader\" class=\"w-id\">Id ↓</th><th role=\"columnheader\">Task, arguments</th>"
      "<th role=\"columnheader\" class=\"w-xl\">Status</th><th role=\"columnheader\" "
      "class=\"w-md\">Queue</th>"
      "<th role=\"columnheader\" class=\"w-md l-only\">Lock</th>"
      "<th role=\"columnheader\" class=\"num w-xs m-only\" title=\"attempts that have ended\">Tries</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Ran</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Last event</th></tr></thead>"
      "<tbody role=\"rowgroup\" data-rows>\n{}</tbody></table>",
      each_of(page.jobs, [&](const FleetJob& job) { return row(job, page.reading.now); }));
}

Link at_page(const Search& search, Literal name, sql::JobId id) {
  return link_of(search.jobs.tab, search.jobs.conditions).with(name, id);
}

Html pager(const Search& search, const sql::JobsPage& page) {
  Html links;
  if (page.searched_up_to)
    links += html("<a class=\"btn sm\" rel=\"prev\" href=\"{}\">← Search 50,000 newer ones</a>",
                  at_page(search, "after", *page.searched_up_to));
  else if (page.has_newer && !page.jobs.empty())
    links += html("<a class=\"btn sm\" rel=\"prev\" href=\"{}\">← Newer</a>",
                  at_page(search, "after", page.jobs.front().id));
  if (page.has_older && !page.jobs.empty())
    links += html("<a class=\"btn sm\" rel=\"next\" href=\"{}\">Older →</a>",
                  at_page(search, "before", page.jobs.back().id));
  else if (page.searched_to)
    links += html("<a class=\"btn sm\" rel=\"next\" href=\"{}\">Search 50,000 older ones →</a>",
                  at_page(search, "before", *page.searched_to));
  return html("<nav class=\"pager\" aria-label=\"Pages\">{}</nav>", links);
}

Html nothing(const Search& search, const sql::JobsPage& page) {
  if (page.searched_to || page.searched_up_to) {
    const std::string end = page.searched_to ? "down to job " + std::to_string(*page.searched_to)
                                             : "up to job " + std::to_string(*page.searched_up_to);
    return empty_list("None from here " + end,
                      "What has no index is looked for among 50,000 jobs at a time.");
  }
  const bool is_whole = search.jobs.conditions.empty() && search.jobs.tab == Tab::all && !search.jobs.before;
  return is_whole ? empty_list("No jobs yet", "They appear here as soon as one is deferred.")
                  : empty_list("None", "No job is like this, from here on.");
}

Html footer(const Search& search, const sql::JobsPage& page) {
  const std::string range =
      page.jobs.empty() ? ""
                        : std::to_string(page.jobs.front().id) + " to " + std::to_string(page.jobs.back().id);
  std::string limit;
  if (page.searched_to) limit = " Searched down to job " + std::to_string(*page.searched_to) + ".";
  if (page.searched_up_to) limit = " Searched up to job " + std::to_string(*page.searched_up_to) + ".";
  return html("<footer><span>{}{}</span>{}</footer>", range, limit, pager(search, page));
}

// The same list as JSON. The fields of the form are words of the search there, too.
Link json_of(const Search& search) {
  Link link("/api/jobs");
  link = link.with("q", words_of(search.jobs.conditions)).with("status", to_string(search.jobs.tab));
  if (search.jobs.before) return link.with("before", *search.jobs.before);
  return search.jobs.after ? link.with("after", *search.jobs.after) : link;
}

bool is_one_id(const std::string& words) {
  return parse_id(words).has_value();
}

}  // namespace

Page jobs_page(const Visit& visit) {
  const std::string words = visit.query.get("q");
  if (is_one_id(words))
    return {.section = Section::jobs, .status = 303, .location = job_at(*parse_id(words)).text()};
  const bool hide_arguments = visit.fleet.hides_arguments();
  const Search search = parse_search(visit.query, hide_arguments);
  const sql::JobsPage page = visit.fleet.jobs(search.jobs);
  const Html list = page.jobs.empty() ? nothing(search, page) : table(page);
  return {.section = Section::jobs,
          .title = "Jobs",
          .main = html("<div class=\"head\"><h1>Jobs</h1><p>newest first</p><div class=\"acts\">"
                       "<a class=\"btn sm\" href=\"{}\">JSON</a></div></div>{}<section class=\"panel\">{}{}{}"
                       "<div data-live=\"list\">{}{}</div></section>",
                       json_of(search), faults(search), tabs(search, visit.fleet.counts()),
                       filter_form(search, hide_arguments), chips(search), list, footer(search, page)),
          .reading = page.reading};
}

}  // namespace postpone::web

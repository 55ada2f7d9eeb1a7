// Workers, by host and supervisor, and what each runs.
#include <algorithm>

#include "web/page.h"
#include "web/pages/hosts_at_work.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::State;
using sql::WorkerState;

bool is_silent(const WorkerState& worker) {
  return worker.lease.silent_for > sql::kSilentWorker;
}

struct Host {
  std::string name;  // empty: workers of Python
  std::string supervisor;
  std::vector<std::size_t> workers;  // their places in the page
};

// They come by supervisor.
std::vector<Host> hosts_of(const sql::WorkersPage& page) {
  std::vector<Host> hosts;
  for (std::size_t i = 0; i < page.workers.size(); ++i) {
    const sql::Lease& lease = page.workers[i].lease;
    if (hosts.empty() || hosts.back().supervisor != lease.supervisor || hosts.back().name != lease.host)
      hosts.push_back({lease.host, lease.supervisor, {}});
    hosts.back().workers.push_back(i);
  }
  return hosts;
}

Html state_of(const WorkerState& worker) {
  if (is_silent(worker)) return html("<span class=\"st st-silent\">{}Silent</span>", icon("#i-warn"));
  if (worker.runs.empty()) return html("<span class=\"st st-idle\">{}Idle</span>", icon("#s-idle"));
  return state_mark(State::running);
}

std::string queues_text(const std::vector<std::string>& queues, bool is_foreign) {
  if (is_foreign) return "not known";
  std::string text;
  for (const std::string& queue : queues) text += (text.empty() ? "" : ", ") + queue;
  return text.empty() ? "all queues" : text;
}

Html job_cell(const WorkerState& worker) {
  if (worker.runs.empty()) return dash();
  const auto more = static_cast<std::int64_t>(worker.runs.size()) - 1;
  return html("{}<span class=\"sub cut\">attempt {}{}</span>",
              job_pair(worker.runs.front().job_id, worker.runs.front().task), worker.runs.front().attempt,
              more > 0 ? ", and " + plural(more, "job") + " more" : "");
}

Html row(const WorkerState& worker, const std::vector<std::string>& queues, sql::DatabaseTime now) {
  const sql::Lease& lease = worker.lease;
  const std::string called = lease.foreign ? "worker " + std::to_string(lease.id) : lease.name;
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><b class=\"cut\"><bdi>{}</bdi></b>"
      "<span class=\"sub cut\">{}</span></td><td role=\"cell\" class=\"p-end\">{}</td>"
      "<td role=\"cell\" class=\"p-hide\"><span class=\"cut\"><bdi>{}</bdi></span></td>"
      "<td role=\"cell\" class=\"p-sub\">{}</td><td role=\"cell\" class=\"p-sub2 num\">{}</td>"
      "<td role=\"cell\" class=\"p-hide num\">{}</td></tr>\n",
      called, lease.foreign ? "" : "pid " + std::to_string(lease.pid), state_of(worker),
      queues_text(queues, lease.foreign), job_cell(worker),
      worker.runs.empty() ? dash() : duration_or_dash(worker.runs.front().running_for),
      ago(lease.last_heartbeat, now));
}

Html host_panel(const Host& host, const sql::WorkersPage& page) {
  const Html title = host.name.empty() ? html("Python") : html("<bdi>{}</bdi>", host.name);
  return html(
      "<section class=\"panel host\"><header><h2>{}</h2><span class=\"sub cut mono\"><bdi>{}</bdi></span>"
      "<div class=\"acts muted\"><span>{}</span></div></header>"
      "<table role=\"table\" class=\"rows nochk fixed tall\"><thead role=\"rowgroup\"><tr role=\"row\">"
      "<th role=\"columnheader\" class=\"w-lg\">Worker</th><th role=\"columnheader\" "
      "class=\"w-md\">State</th>"
      "<th role=\"columnheader\" class=\"w-lg\">Queues</th><th role=\"columnheader\">Job</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">For</th><th role=\"columnheader\" class=\"num "
      "w-sm\">Heartbeat</th>"
      "</tr></thead><tbody role=\"rowgroup\" data-rows>\n{}</tbody></table></section>",
      title, host.supervisor, plural(static_cast<std::int64_t>(host.workers.size()), "worker"),
      each_of(host.workers,
              [&](std::size_t i) { return row(page.workers[i], page.queues[i], page.reading.now); }));
}

Html stalled_row(const sql::DoingJob& run, std::string_view worker) {
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\">{}</td><td role=\"cell\" "
      "class=\"p-sub\"><bdi>{}</bdi></td>"
      "<td role=\"cell\" class=\"num p-end w-lg\">{}<span class=\"sub\">since its start</span></td></tr>",
      job_pair(run.job_id, run.task), worker, duration_or_dash(run.running_for));
}

Html stalled_panel(const sql::WorkersPage& page) {
  Html rows =
      each_of(page.orphans, [](const sql::DoingJob& run) { return stalled_row(run, "its worker is gone"); });
  for (const WorkerState& worker : page.workers) {
    if (!is_silent(worker)) continue;
    const std::string text = (worker.lease.foreign ? "worker " + std::to_string(worker.lease.id)
                                                   : worker.lease.name + " on " + worker.lease.host) +
                             ", silent for " + duration_text(worker.lease.silent_for);
    rows += each_of(worker.runs, [&](const sql::DoingJob& run) { return stalled_row(run, text); });
  }
  if (rows.empty()) return {};
  return html(
      "<section class=\"panel\"><header>{}<h2>Stalled jobs</h2><div class=\"acts muted\">"
      "<span>supervisors take them over after stalled_after; by hand: postpone stalled "
      "rescue</span></div></header>"
      "<table role=\"table\" class=\"rows nochk fixed tall\"><tbody "
      "role=\"rowgroup\">{}</tbody></table></section>",
      icon("#i-warn", "i warn"), rows);
}

std::string note_of(const sql::WorkersPage& page) {
  const auto busy = std::count_if(page.workers.begin(), page.workers.end(),
                                  [](const WorkerState& worker) { return !worker.runs.empty(); });
  return plural(static_cast<std::int64_t>(page.workers.size()), "worker") + ", of which " + thousands(busy) +
         " run a job";
}

// ---- cells ---------------------------------------------------------------------------------------

Html cell(const WorkerState& worker) {
  const std::string called =
      worker.lease.foreign ? "worker " + std::to_string(worker.lease.id) : worker.lease.name;
  if (is_silent(worker))
    return html(
        "<svg viewBox=\"0 0 18 18\"><title>{}: silent</title><rect class=\"cell-warn\" x=\".5\" y=\".5\" "
        "width=\"17\""
        " height=\"17\" rx=\"3\"/><path class=\"cell-x\" d=\"M9 5v5M9 13h.01\"/></svg>",
        called);
  if (worker.runs.empty())
    return html(
        "<svg viewBox=\"0 0 18 18\"><title>{}: idle</title><rect class=\"cell-idle\" x=\"1\" y=\"1\" "
        "width=\"16\""
        " height=\"16\" rx=\"3\"/></svg>",
        called);
  return html(
      "<svg viewBox=\"0 0 18 18\"><title>{}: running</title><rect class=\"cell-run\" x=\".5\" y=\".5\" "
      "width=\"17\""
      " height=\"17\" rx=\"3\"/></svg>",
      called);
}

}  // namespace

Page workers_page(const Visit& visit) {
  const sql::WorkersPage page = visit.fleet.workers();
  const std::vector<Host> hosts = hosts_of(page);
  const Html all = hosts.empty() ? html("<section class=\"panel\">{}</section>",
                                        empty_list("No workers", "No supervisor works on this database."))
                                 : each_of(hosts, [&](const Host& host) { return host_panel(host, page); });
  return {.section = Section::workers,
          .title = "Workers",
          .main = html("<div class=\"head\"><h1>Workers</h1><p data-live=\"note\">{}</p></div>"
                       "<div class=\"stackv\" data-live=\"workers\">{}{}</div>",
                       note_of(page), stalled_panel(page), all),
          .reading = page.reading};
}

// ---- of the overview -----------------------------------------------------------------------------

Html hosts_at_work(const sql::WorkersPage& page) {
  const std::vector<Host> hosts = hosts_of(page);
  if (hosts.empty()) return {};
  constexpr std::size_t kMostCells = 128;
  const Html lines = each_of(hosts, [&](const Host& host) {
    std::int64_t busy = 0;
    Html cells;
    for (std::size_t n = 0; n < host.workers.size(); ++n) {
      const WorkerState& worker = page.workers[host.workers[n]];
      if (!worker.runs.empty()) ++busy;
      if (n < kMostCells) cells += cell(worker);
    }
    const std::string called = host.name.empty() ? "Python" : host.name;
    return html(
        "<div><a class=\"quiet cut\" href=\"{}\"><bdi>{}</bdi></a><div class=\"cells\" role=\"img\" "
        "aria-label=\"{}: {} of {} "
        "run a job\">{}</div><span class=\"num muted\">{} / {}</span></div>",
        Link("/workers"), called, called, busy, host.workers.size(), cells, busy, host.workers.size());
  });
  return html(
      "<section class=\"panel\" data-live=\"hosts\" aria-labelledby=\"fl-h\"><header><h2 "
      "id=\"fl-h\">Workers</h2>"
      "<div class=\"acts\"><a href=\"{}\">Workers</a></div></header><div class=\"body\"><div "
      "class=\"fleet\">{}</div></div>"
      "<footer><div class=\"legend\"><span><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect "
      "class=\"cell-run\" x=\".5\""
      " y=\".5\" width=\"9\" height=\"9\" rx=\"2\"/></svg>runs a job</span></div><span>□ idle</span>"
      "<span class=\"warn\">! silent</span></footer></section>",
      Link("/workers"), lines);
}

std::int64_t silent_workers(const sql::WorkersPage& page) {
  return std::count_if(page.workers.begin(), page.workers.end(), is_silent);
}

std::int64_t stalled_jobs(const sql::WorkersPage& page) {
  auto stalled = static_cast<std::int64_t>(page.orphans.size());
  for (const WorkerState& worker : page.workers)
    if (is_silent(worker)) stalled += static_cast<std::int64_t>(worker.runs.size());
  return stalled;
}

}  // namespace postpone::web

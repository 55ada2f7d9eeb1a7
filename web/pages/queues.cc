// Queues and tasks: what waits in each, and how each task has done.
#include "web/page.h"
#include "web/pages/parts.h"

namespace postpone::web {
namespace {

using sql::QueueLine;
using sql::TaskLine;

Html queue_trouble(const QueueLine& queue, const sql::QueuesPage& page) {
  const bool waits = queue.ready.count > 0;
  if (waits && queue.workers == 0 && page.foreign_workers == 0)
    return html("<span class=\"sub cut bad\">no living worker serves it</span>");
  if (waits && queue.workers == 0)
    return html("<span class=\"sub cut\">no worker of Postpone serves it</span>");
  return {};
}

Html count_cell(Literal classes, sql::BoundedCount count) {
  return html("<td role=\"cell\" class=\"{}\">{}</td>", classes.text(),
              count.count == 0 ? html("<span class=\"muted\">0</span>") : html("{}", count_text(count)));
}

Html queue_row(const QueueLine& queue, const sql::QueuesPage& page) {
  const Html next = queue.next ? job_pair(*queue.next, queue.next_task) : dash();
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a>{}</td>"
      "<td role=\"cell\" class=\"p-hide num\">{}</td><td role=\"cell\" class=\"p-sub num\">{} run</td>{}{}{}"
      "<td role=\"cell\" class=\"p-hide l-only\">{}</td><td role=\"cell\" class=\"p-sub2 "
      "num\">{}</td></tr>\n",
      jobs_of("queue", queue.name), name(queue.name), queue_trouble(queue, page), queue.workers,
      queue.running, count_cell("p-end num", queue.ready), count_cell("p-hide num", queue.scheduled),
      count_cell("p-hide num m-only", queue.locked), next, duration_or_dash(queue.next_waits));
}

Html queue_table(const sql::QueuesPage& page) {
  if (page.queues.empty()) return empty_list("No queue has a job", "Nothing waits, and nothing runs.");
  return html(
      "<table role=\"table\" class=\"rows nochk fixed tall\"><thead role=\"rowgroup\"><tr role=\"row\">"
      "<th role=\"columnheader\">Queue</th><th role=\"columnheader\" class=\"num w-sm\">Workers</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Running</th><th role=\"columnheader\" class=\"num "
      "w-sm\">Ready</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Scheduled</th>"
      "<th role=\"columnheader\" class=\"num w-sm m-only\">Locked</th>"
      "<th role=\"columnheader\" class=\"w-xl l-only\">Next</th>"
      "<th role=\"columnheader\" class=\"num w-md\" title=\"how long the job has been ready that a fetch "
      "takes next\">"
      "Next has waited</th></tr></thead><tbody role=\"rowgroup\" data-rows>\n{}</tbody></table>",
      each_of(page.queues, [&](const QueueLine& queue) { return queue_row(queue, page); }));
}

std::string queues_note(const sql::QueuesPage& page) {
  std::string note = plural(static_cast<std::int64_t>(page.queues.size()), "queue");
  if (page.is_more) note += ", the first by name; there are more";
  if (page.foreign_workers > 0)
    note += ", and " + plural(page.foreign_workers, "worker") + " of Python beside";
  return note;
}

// ---- tasks ---------------------------------------------------------------------------------------

Html task_row(const TaskLine& task, sql::DatabaseTime now) {
  const double share =
      task.attempts == 0 ? 0
                         : 100.0 * static_cast<double>(task.ended_badly) / static_cast<double>(task.attempts);
  const Html badly =
      task.ended_badly == 0
          ? html("<span class=\"muted\">0</span>")
          : html("<span class=\"bad\">{}</span><span class=\"sub\">{} %</span>", thousands(task.ended_badly),
                 share < 1 ? "< 1" : std::to_string(static_cast<int>(share)));
  return html(
      "<tr role=\"row\"><td role=\"cell\" class=\"p-main\"><a class=\"cut\" href=\"{}\">{}</a></td>"
      "<td role=\"cell\" class=\"p-hide num\">{}</td><td role=\"cell\" class=\"p-sub num\">{} run</td>"
      "<td role=\"cell\" class=\"p-end num\">{}</td><td role=\"cell\" class=\"p-sub2 num\">{}</td>"
      "<td role=\"cell\" class=\"p-hide num\">{}</td><td role=\"cell\" class=\"p-hide num\">{}</td>"
      "<td role=\"cell\" class=\"p-hide num m-only\">{}</td><td role=\"cell\" class=\"p-hide num muted "
      "l-only\">{}</td></tr>\n",
      jobs_of("task", task.name), name(task.name), thousands(task.waiting), task.running,
      thousands(task.attempts), badly, duration_or_dash(task.median), duration_or_dash(task.slow),
      task.memory ? html("{}", size_text(*task.memory)) : dash(), ago_or_dash(task.last, now));
}

Html task_table(const sql::TasksPage& page) {
  if (page.tasks.empty())
    return empty_list("No task has had a job", "Tasks appear here with their first job.");
  return html(
      "<table role=\"table\" class=\"rows nochk fixed tall\"><thead role=\"rowgroup\"><tr role=\"row\">"
      "<th role=\"columnheader\">Task</th><th role=\"columnheader\" class=\"num w-sm\">Waiting</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Running</th><th role=\"columnheader\" class=\"num "
      "w-sm\">Attempts</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">Badly</th><th role=\"columnheader\" class=\"num "
      "w-sm\">Median</th>"
      "<th role=\"columnheader\" class=\"num w-sm\">p95</th><th role=\"columnheader\" class=\"num w-sm "
      "m-only\">Memory</th>"
      "<th role=\"columnheader\" class=\"num w-sm l-only\">Last</th></tr></thead>"
      "<tbody role=\"rowgroup\" data-rows>\n{}</tbody></table>"
      "<footer><span>Attempts of the newest 10,000, waiting jobs of the newest {} jobs.</span></footer>",
      each_of(page.tasks, [&](const TaskLine& task) { return task_row(task, page.reading.now); }),
      thousands(page.looked_at));
}

}  // namespace

Page queues_page(const Visit& visit) {
  const sql::QueuesPage page = visit.fleet.queues();
  return {.section = Section::queues,
          .title = "Queues",
          .main = html("<div class=\"head\"><h1>Queues</h1><p data-live=\"note\">{}</p></div>"
                       "<section class=\"panel\" data-live=\"queues\">{}</section>",
                       queues_note(page), queue_table(page)),
          .reading = page.reading};
}

Page tasks_page(const Visit& visit) {
  const sql::TasksPage page = visit.fleet.tasks();
  return {.section = Section::tasks,
          .title = "Tasks",
          .main = html("<div class=\"head\"><h1>Tasks</h1><p data-live=\"note\">{} among the latest</p></div>"
                       "<section class=\"panel\" data-live=\"tasks\">{}</section>",
                       plural(static_cast<std::int64_t>(page.tasks.size()), "task"), task_table(page)),
          .reading = page.reading};
}

}  // namespace postpone::web

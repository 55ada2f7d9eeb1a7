#include "cli/status/top_page.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "cli/status/status_text.h"
#include "cli/text/table.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

using Json = nlohmann::json;
using Align = Table::Align;

Style style_of_sub_worker(std::string_view state) {
  if (state == "running") return Style::good;
  if (state == "absent" || state == "unknown") return Style::bad;
  return state == "starting" || state == "stopping" || state == "waiting" ? Style::waiting : Style::faint;
}

std::uint64_t all_ended(const Json& status) {
  std::uint64_t sum = 0;
  for (const Json& worker : status.at("sub_workers")) sum += ended_jobs(worker);
  return sum;
}

constexpr const char* kKeys = "sort by: e elapsed, m memory, c cpu, j jobs, t task, s slot    q quits";

// A sub-worker, and the numbers that the order goes by.
struct TopRow {
  const Json* worker;
  double cpu_share = -1;  // of one core, since the answer before; negative when it is not known
  double rss = 0;
  double elapsed = 0;
  double jobs = 0;
};

const Json* find_slot(const Json& status, const Json& slot) {
  if (!status.is_object()) return nullptr;
  for (const Json& worker : status.at("sub_workers"))
    if (worker.at("slot") == slot) return &worker;
  return nullptr;
}

// The share between two answers, of the same task process; negative when it is not known. (The sub-worker
// reads the CPU time once a second, so that closer answers say nothing new.)
double cpu_share(const Json& worker, const Json* before, double passed_s) {
  const Json& now = task_process_of(worker);
  if (before == nullptr || !now.is_object() || passed_s <= 0) return -1;
  const Json& then = task_process_of(*before);
  const bool comparable = then.is_object() && then.at("pid") == now.at("pid") &&
                          then.at("cpu_s").is_number() && now.at("cpu_s").is_number();
  return comparable ? std::max(0.0, number(now.at("cpu_s")) - number(then.at("cpu_s"))) / passed_s : -1;
}

// Seconds between two answers; 0 without an earlier one.
double passed(const Json& status, const Json& before) {
  return before.is_object()
             ? number(status.at("supervisor").at("uptime_s")) - number(before.at("supervisor").at("uptime_s"))
             : 0;
}

bool goes_before(const TopRow& a, const TopRow& b, TopSort sort) {
  switch (sort) {
    case TopSort::elapsed:
      return a.elapsed > b.elapsed;
    case TopSort::memory:
      return a.rss > b.rss;
    case TopSort::cpu:
      return a.cpu_share > b.cpu_share;
    case TopSort::jobs:
      return a.jobs > b.jobs;
    case TopSort::task: {
      const std::string of_a = text_of(at(job_of(*a.worker), "task"));
      const std::string of_b = text_of(at(job_of(*b.worker), "task"));
      return of_a.empty() != of_b.empty() ? of_b.empty() : of_a < of_b;
    }
    case TopSort::slot:
      break;
  }
  return false;
}

std::vector<TopRow> top_rows(const Json& status, const Json& before, TopSort sort) {
  std::vector<TopRow> rows;
  for (const Json& worker : status.at("sub_workers")) {
    TopRow row{&worker};
    row.cpu_share = cpu_share(worker, find_slot(before, worker.at("slot")), passed(status, before));
    row.rss = number(at(task_process_of(worker), "rss_bytes"));
    row.elapsed = job_of(worker).is_object() ? number(job_of(worker).at("elapsed_s")) : -1;
    row.jobs = static_cast<double>(ended_jobs(worker));
    rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [sort](const auto& a, const auto& b) { return goes_before(a, b, sort); });
  return rows;
}

std::string percent(double share) {
  if (share < 0) return "";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.0f%%", 100 * share);
  return text.data();
}

Table top_table(const std::vector<TopRow>& rows) {
  Table table{{{"SLOT", Align::left},
               {"STATE", Align::left, style_of_sub_worker, Table::Fit::whole},
               {"JOB", Align::right},
               {"TASK", Align::left},
               {"FOR", Align::right},
               {"DONE", Align::right},
               {"CPU", Align::right},
               {"MEMORY", Align::right},
               {"JOBS", Align::right},
               {"ERR", Align::right, bad_unless_zero}},
              {}};
  for (const TopRow& row : rows) {
    const Json& job = job_of(*row.worker);
    const std::string state = text_of(row.worker->at("state"));
    table.rows.push_back(
        {name_of(*row.worker), state == "waiting_for_permit" ? "waiting" : state, text_of(at(job, "id")),
         text_of(at(job, "task")), duration_of(at(job, "elapsed_s")), job_progress_of(*row.worker),
         percent(row.cpu_share), size_of(at(task_process_of(*row.worker), "rss_bytes")),
         std::to_string(static_cast<std::uint64_t>(row.jobs)), text_of(row.worker->at("jobs").at("failed"))});
  }
  return table;
}

std::string rate(const Json& status, const Json& before) {
  const double seconds = passed(status, before);
  if (seconds <= 0) return "";
  const std::uint64_t now = all_ended(status);
  const std::uint64_t then = all_ended(before);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), ", %.1f jobs/s",
                static_cast<double>(now - std::min(now, then)) / seconds);
  return text.data();
}

std::string waiting_line(const Json& status) {
  const Json& waiting = status.at("waiting");
  if (!waiting.is_object()) return "waiting: not measured yet";
  std::uint64_t ready = waiting.at("others").at("ready").get<std::uint64_t>();
  std::uint64_t scheduled = waiting.at("others").at("scheduled").get<std::uint64_t>();
  double oldest = 0;
  for (const Json& queue : waiting.at("queues")) {
    ready += queue.at("ready").get<std::uint64_t>();
    scheduled += queue.at("scheduled").get<std::uint64_t>();
    oldest = std::max(oldest, number(queue.at("oldest_s")));
  }
  return "waiting: " + grouped(ready) + " ready" +
         (ready > 0 ? ", the oldest for " + human_duration(std::chrono::duration<double>(oldest)) : "") +
         ", " + grouped(scheduled) + " scheduled (" + duration_of(waiting.at("age_s")) + " ago)";
}

// The lines above the table.
std::vector<std::string> summary(const Json& status, const Json& before, const TopOptions& options) {
  const Json& s = status.at("supervisor");
  const Palette paint{options.coloured};
  const std::string name = text_of(s.at("name"));
  std::vector<std::string> head{
      "postpone " + name.substr(0, name.find(':')) + ": " + supervisor_state(s, "", paint) + ", up " +
          duration_of(s.at("uptime_s")) + "; database " + database_state(status, paint) + ", pool " +
          text_of(status.at("database").at("pool").at("held")) + "/" +
          text_of(status.at("database").at("pool").at("size")),
      "jobs: " + job_endings(status, paint) + rate(status, before), waiting_line(status),
      "sub-workers: " + sub_worker_states(status.at("sub_workers"))};
  for (const Json& reason : s.at("reasons")) head.push_back("  " + text_of(reason));
  if (!options.trouble.empty()) head.insert(head.begin(), paint(printable(options.trouble), Style::bad));
  return head;
}

}  // namespace

std::optional<TopSort> top_sort_of(char key) {
  switch (key) {
    case 'e':
      return TopSort::elapsed;
    case 'm':
      return TopSort::memory;
    case 'c':
      return TopSort::cpu;
    case 'j':
      return TopSort::jobs;
    case 't':
      return TopSort::task;
    case 's':
      return TopSort::slot;
    default:
      return std::nullopt;
  }
}

std::string top_page(const Json& status, const Json& before, const TopOptions& options, ScreenSize size) {
  const std::vector<std::string> head = summary(status, before, options);
  std::string page;
  for (const std::string& line : head) page += clipped(line, size.width) + "\n";
  page += "\n";
  Table table = top_table(top_rows(status, before, options.sort));
  const std::size_t used = head.size() + 2 + (options.with_keys ? 1 : 0);  // the blank line, and the titles
  // When rows are left out, the last line says how many.
  const std::size_t room = size.height > used + 1 ? size.height - used - 1 : 1;
  if (size.height > 0 && table.rows.size() > room && table.rows.size() + used > size.height) {
    const std::size_t all = table.rows.size();
    table.rows.resize(room);
    page += render(table, size.width, options.coloured) + "... and " + std::to_string(all - room) + " more\n";
  } else {
    page += render(table, size.width, options.coloured);
  }
  if (options.with_keys) page += clipped(kKeys, size.width) + "\n";
  return page;
}

}  // namespace postpone::cli

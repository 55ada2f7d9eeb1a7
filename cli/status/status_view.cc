#include "cli/status/status_view.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "cli/text/text.h"

namespace postpone::cli {
namespace {

using Json = nlohmann::json;
using Align = Table::Align;
using Seconds = std::chrono::duration<double>;

std::string text_of(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return printable(value.get<std::string>());
  return value.dump();
}

std::string duration_of(const Json& value) {
  return value.is_number() ? human_duration(Seconds(value.get<double>())) : "";
}

std::string size_of(const Json& value) {
  return value.is_number() ? human_size(value.get<std::int64_t>()) : "";
}

// 1234567 as 1,234,567.
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

// The line within `width` columns (0 = no limit).
std::string clipped(const std::string& line, std::size_t width) {
  return width == 0 ? line : cut(line, width);
}

// The job that a sub-worker runs, or null when there is none or it is not known.
const Json& job_of(const Json& worker) {
  static const Json none;
  return worker.at("job").is_object() ? worker.at("job") : none;
}
const Json& task_of(const Json& worker) {
  static const Json none;
  return worker.at("task_process").is_object() ? worker.at("task_process") : none;
}
Json at(const Json& object, const char* key) {
  return object.is_object() ? object.value(key, Json()) : Json();
}
double number(const Json& value) {
  return value.is_number() ? value.get<double>() : 0;
}

std::string name_of(const Json& worker) {
  return text_of(worker.at("group")) + "/" + worker.at("slot").dump();
}

std::string progress_of(const Json& worker) {
  const Json progress = at(job_of(worker), "progress");
  if (!progress.is_object()) return "";
  const double done = number(progress.at("done"));
  const double total = number(progress.at("total"));
  if (total <= 0) return text_of(progress.at("done"));
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.0f%%", std::min(100.0, 100 * done / total));
  return text.data();
}

// "3 running, 5 idle"
std::string count_states(const Json& workers) {
  std::map<std::string, int> counts;
  for (const Json& worker : workers) ++counts[text_of(worker.at("state"))];
  std::string text;
  for (const char* state :
       {"running", "looking", "idle", "waiting_for_permit", "starting", "vacant", "stopping", "absent"}) {
    const auto found = counts.find(state);
    if (found == counts.end()) continue;
    std::string name = state;
    if (name == "waiting_for_permit") name = "waiting for a connection";
    text += (text.empty() ? "" : ", ") + std::to_string(found->second) + " " + name;
  }
  return text;
}

constexpr std::array<const char*, 4> kEndings{"succeeded", "failed", "retried", "aborted"};

std::uint64_t ended(const Json& total) {
  std::uint64_t sum = 0;
  for (const char* ending : kEndings) sum += total.at(ending).get<std::uint64_t>();
  return sum;
}
std::uint64_t all_ended(const Json& status) {
  std::uint64_t sum = 0;
  for (const Json& worker : status.at("sub_workers")) sum += ended(worker.at("jobs"));
  return sum;
}

// --- colour ---

struct Palette {
  bool coloured = false;
  std::string operator()(const std::string& text, Style style) const {
    return coloured ? styled(text, style) : text;
  }
};

Style style_of_supervisor(std::string_view state) {
  if (state == "running") return Style::good;
  return state == "degraded" ? Style::bad : Style::waiting;
}

Style style_of_sub_worker(std::string_view state) {
  if (state == "running") return Style::good;
  if (state == "absent" || state == "unknown") return Style::bad;
  return state == "starting" || state == "stopping" || state == "waiting" ? Style::waiting : Style::faint;
}

Style style_of_ending(std::string_view ending) {
  return ending == "retried" ? Style::waiting : style_of_status(ending);
}

// "degraded, NOT READY"
std::string state_of(const Json& supervisor, const char* when_ready, Palette paint) {
  const std::string state = text_of(supervisor.at("state"));
  return paint(state, style_of_supervisor(state)) +
         (supervisor.at("ready") == true ? when_ready : ", " + paint("NOT READY", Style::bad));
}

std::string database_state(const Json& status, Palette paint) {
  const std::string state = text_of(status.at("database").at("state"));
  return paint(state, state == "up" ? Style::plain : Style::bad);
}

std::string endings(const Json& status, Palette paint) {
  std::string text;
  for (const char* ending : kEndings) {
    std::uint64_t sum = 0;
    for (const Json& worker : status.at("sub_workers"))
      sum += worker.at("jobs").at(ending).get<std::uint64_t>();
    const bool is_bad = sum > 0 && style_of_status(ending) == Style::bad;
    text +=
        (text.empty() ? "" : ", ") + paint(grouped(sum) + " " + ending, is_bad ? Style::bad : Style::plain);
  }
  return text;
}

// --- status ---

// A list of lines of which some may be left out.
class Lines {
 public:
  Lines(std::size_t width, Palette palette) : paint(palette), width_(width) {}

  void line(const std::string& text) { text_ += clipped(text, width_) + "\n"; }
  void fact(const char* name, const std::string& text) {
    std::string line = name;
    line.resize(13, ' ');
    this->line(line + text);
  }
  // At most `most` rows (0 = all), each with its text below, if there are any.
  void table(Table table, std::size_t most, const std::string& where_the_rest_is,
             const std::vector<std::string>& below = {}) {
    if (table.rows.empty()) return;
    const std::size_t all = table.rows.size();
    if (most > 0 && all > most) table.rows.resize(most);
    text_ += "\n";
    std::istringstream rendered(render(table, width_, paint.coloured));
    std::size_t rows = 0;
    for (std::string row; std::getline(rendered, row); ++rows) {
      text_ += row + "\n";  // the first one is the titles
      if (rows > 0 && !below.empty() && !below[rows - 1].empty()) line("    " + below[rows - 1]);
    }
    if (table.rows.size() < all)
      line("... and " + std::to_string(all - table.rows.size()) + " more" + where_the_rest_is);
  }
  std::size_t count() const { return static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '\n')); }
  std::string take() { return std::move(text_); }

  const Palette paint;

 private:
  const std::size_t width_;
  std::string text_;
};

void add_supervisor(Lines& lines, const Json& status) {
  const Json& s = status.at("supervisor");
  const std::string name = text_of(s.at("name"));
  lines.fact("supervisor", name.substr(0, name.find(':')) + ", pid " + text_of(s.at("pid")) + ", up " +
                               duration_of(s.at("uptime_s")) + ", postpone " + text_of(s.at("version")));
  lines.fact("state", state_of(s, ", ready", lines.paint));
  for (const Json& reason : s.at("reasons")) lines.fact("", text_of(reason));
  std::string reload;
  if (s.at("last_reload").is_object())
    reload = std::string(", last reload ") + (s.at("last_reload").at("ok") == true
                                                  ? "well"
                                                  : "refused: " + text_of(s.at("last_reload").at("message")));
  lines.fact("config", text_of(s.at("config_file")) + reload);
}

void add_database(Lines& lines, const Json& status) {
  const Json& d = status.at("database");
  const Json& listen = d.at("listen");
  const std::string version = text_of(d.at("server_version"));
  lines.fact("database",
             database_state(status, lines.paint) + (version.empty() ? "" : ", PostgreSQL " + version) + ", " +
                 text_of(d.at("reconnects")) + (d.at("reconnects") == 1 ? " reconnect" : " reconnects") +
                 "; listen: " + text_of(listen.at("state")) + ", " + text_of(listen.at("notifications")) +
                 " heard");
  const Json& pool = d.at("pool");
  const auto waiting = pool.at("waiting").get<int>();
  lines.fact("pool", text_of(pool.at("held")) + " of " + text_of(pool.at("size")) + " connections held, " +
                         (waiting == 0 ? "nobody waits"
                                       : std::to_string(waiting) + " wait, the longest " +
                                             duration_of(pool.at("longest_wait_s"))));
  const Json& h = status.at("housekeeper");
  const std::string beat = duration_of(h.at("last_database_heartbeat_age_s"));
  lines.fact("housekeeper", (h.at("pid").is_null() ? lines.paint("NOT RUNNING", Style::bad)
                                                   : "pid " + text_of(h.at("pid"))) +
                                (beat.empty() ? ", no heartbeat yet" : ", heartbeat " + beat + " ago") +
                                ", " + text_of(h.at("rescued_jobs")) + " jobs rescued");
}

// What there is to say of a sub-worker besides its job.
std::string note_of(const Json& worker, const Json& job) {
  std::string note = worker.at("state") == "running" ? "" : text_of(worker.at("state"));
  if (worker.at("job") == "unknown") note += ", job not readable";
  if (job.is_object() && job.at("attempt") != 1)
    note += (note.empty() ? "" : ", ") + ("attempt " + text_of(job.at("attempt")));
  if (worker.at("state") == "absent" && worker.at("last_end").is_object())
    note += ": " + text_of(worker.at("last_end").at("cause"));
  if (worker.at("next_start_s").is_number()) note += ", again in " + duration_of(worker.at("next_start_s"));
  return note;
}

// The longest running first; then those that are not as they should be; the idle ones are only counted.
Table busy_workers(const Json& status, bool wide) {
  std::vector<const Json*> busy;
  for (const Json& worker : status.at("sub_workers")) {
    const bool at_rest = worker.at("state") == "idle" || worker.at("state") == "looking";
    if (!at_rest || job_of(worker).is_object()) busy.push_back(&worker);
  }
  std::stable_sort(busy.begin(), busy.end(), [](const Json* a, const Json* b) {
    return number(at(job_of(*a), "elapsed_s")) > number(at(job_of(*b), "elapsed_s"));
  });
  Table table{{{"SUB-WORKER", Align::left},
               {"FOR", Align::right},
               {"JOB", Align::right},
               {"TASK", Align::left},
               {"LOCK", Align::left},
               {"DONE", Align::right},
               {"LIMIT", Align::right},
               {"MEMORY", Align::right},
               {"NOTE", Align::left}},
              {}};
  for (const Json* worker : busy) {
    const Json& job = job_of(*worker);
    table.rows.push_back({name_of(*worker),
                          duration_of(job.is_object() ? job.at("elapsed_s") : worker->at("in_state_s")),
                          text_of(at(job, "id")), text_of(at(job, "task")), text_of(at(job, "lock")),
                          progress_of(*worker), wide ? duration_of(at(job, "time_limit_s")) : "",
                          size_of(at(task_of(*worker), "rss_bytes")), note_of(*worker, job)});
  }
  return table;
}

Table waiting_queues(const Json& status) {
  Table table{{{"QUEUE", Align::left},
               {"READY", Align::right},
               {"SCHEDULED", Align::right},
               {"OLDEST", Align::right}},
              {}};
  const Json& waiting = status.at("waiting");
  if (!waiting.is_object()) return table;
  table.columns.back().title += " (" + duration_of(waiting.at("age_s")) + " ago)";
  for (const Json& queue : waiting.at("queues"))
    table.rows.push_back({text_of(queue.at("name")), grouped(queue.at("ready").get<std::uint64_t>()),
                          grouped(queue.at("scheduled").get<std::uint64_t>()),
                          duration_of(queue.at("oldest_s"))});
  const Json& others = waiting.at("others");
  if (others.at("queues") != 0)
    table.rows.push_back({text_of(others.at("queues")) + " other queues",
                          grouped(others.at("ready").get<std::uint64_t>()),
                          grouped(others.at("scheduled").get<std::uint64_t>()), ""});
  return table;
}

Table failures(const Json& status) {
  Table table{{{"FAILED", Align::right},
               {"JOB", Align::right},
               {"TASK", Align::left},
               {"", Align::left, style_of_ending, Table::Fit::whole},
               {"CAUSE", Align::left},
               {"MESSAGE", Align::left}},
              {}};
  for (const Json& failure : status.at("recent_failures"))
    table.rows.push_back({duration_of(failure.at("age_s")) + " ago", text_of(failure.at("job_id")),
                          text_of(failure.at("task")), text_of(failure.at("ending")),
                          text_of(failure.at("cause")), text_of(failure.at("message"))});
  return table;
}

bool fits(const Table& table, std::size_t width) {
  std::istringstream rendered(render(table, 0));
  for (std::string line; std::getline(rendered, line);)
    if (width > 0 && display_width(line) > width) return false;
  return true;
}

// The last column of the table, which loses it.
std::vector<std::string> take_last_column(Table& table) {
  std::vector<std::string> cells;
  for (auto& row : table.rows) cells.push_back(std::exchange(row.back(), ""));
  return cells;
}

// Lines for the rows of each list; 0 = as many as there are.
struct Shares {
  std::size_t workers = 0, queues = 0, failed = 0;
};

// Failures get a third, two lines at least, since one may take as much, and queues a third of the rest. What
// a list does not need is the others'.
Shares share(std::size_t room, std::size_t workers, std::size_t queues, std::size_t failed) {
  const auto clamp = [](std::size_t wanted, std::size_t most) {
    return std::min(wanted, std::max<std::size_t>(1, most));
  };
  Shares shares;
  const std::size_t for_failed = clamp(failed, room >= 6 ? std::max<std::size_t>(2, room / 3) : 1);
  shares.queues = clamp(queues, (room - for_failed) / 3);
  shares.workers = clamp(workers, room - for_failed - shares.queues);
  shares.failed = clamp(failed, room - std::min(room, shares.workers + shares.queues));
  const std::size_t used = shares.workers + shares.queues + shares.failed;
  const std::size_t more = std::min(queues - shares.queues, room - std::min(room, used));
  shares.queues += more;
  return shares;
}

// A list that is cut has one more line, which tells so.
Shares share_out(std::size_t room, std::size_t workers, std::size_t queues, std::size_t failed) {
  for (std::size_t told = 0;; ++told) {
    const Shares shares = share(std::max<std::size_t>(room, told + 3) - told, workers, queues, failed);
    const std::size_t cut = (shares.workers < workers ? 1U : 0U) + (shares.queues < queues ? 1U : 0U) +
                            (shares.failed < failed ? 1U : 0U);
    if (cut <= told || told == 3) return shares;
  }
}

}  // namespace

std::string status_page(const Json& status, ScreenSize size, bool coloured) {
  Lines lines(size.width, Palette{coloured});
  add_supervisor(lines, status);
  add_database(lines, status);
  lines.fact("jobs", endings(status, lines.paint));
  lines.fact("sub-workers", count_states(status.at("sub_workers")));
  Table workers = busy_workers(status, size.width == 0 || size.width >= 100);
  Table queues = waiting_queues(status);
  Table failed = failures(status);
  bool is_message_below = !fits(failed, size.width);
  Shares shares;
  if (size.height > 0) {
    // Each list has a blank line and titles; the prompt follows.
    std::size_t used = lines.count() + 1;
    for (const Table* table : {&workers, &queues, &failed}) used += table->rows.empty() ? 0 : 2;
    shares = share_out(std::max<std::size_t>(size.height, used + 3) - used, workers.rows.size(),
                       queues.rows.size(), failed.rows.size() * (is_message_below ? 2 : 1));
    is_message_below = is_message_below && shares.failed >= 2;
    if (is_message_below) shares.failed /= 2;
  }
  const auto messages = is_message_below ? take_last_column(failed) : std::vector<std::string>();
  lines.table(std::move(workers), shares.workers, "; postpone top shows them all");
  lines.table(std::move(queues), shares.queues, "; --json shows them all");
  lines.table(std::move(failed), shares.failed, "; --json shows them all", messages);
  return lines.take();
}

// --- top ---

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

namespace {

constexpr const char* kKeys = "sort by: e elapsed, m memory, c cpu, j jobs, t task, s slot    q quits";

// A sub-worker and what was counted of it since before.
struct TopRow {
  const Json* worker;
  double cpu_share = -1;  // of one core; less than 0 = not known
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

// Of the same task process, between two looks. CPU time is read once a second, so closer looks tell nothing
// new.
double cpu_share(const Json& worker, const Json* before, double passed_s) {
  const Json& now = task_of(worker);
  if (before == nullptr || !now.is_object() || passed_s <= 0) return -1;
  const Json& then = task_of(*before);
  const bool comparable = then.is_object() && then.at("pid") == now.at("pid") &&
                          then.at("cpu_s").is_number() && now.at("cpu_s").is_number();
  return comparable ? std::max(0.0, number(now.at("cpu_s")) - number(then.at("cpu_s"))) / passed_s : -1;
}

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
    row.rss = number(at(task_of(worker), "rss_bytes"));
    row.elapsed = job_of(worker).is_object() ? number(job_of(worker).at("elapsed_s")) : -1;
    row.jobs = static_cast<double>(ended(worker.at("jobs")));
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
         text_of(at(job, "task")), duration_of(at(job, "elapsed_s")), progress_of(*row.worker),
         percent(row.cpu_share), size_of(at(task_of(*row.worker), "rss_bytes")),
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
         (ready > 0 ? ", the oldest for " + human_duration(Seconds(oldest)) : "") + ", " +
         grouped(scheduled) + " scheduled (" + duration_of(waiting.at("age_s")) + " ago)";
}

}  // namespace

std::string top_page(const Json& status, const Json& before, const TopOptions& options, ScreenSize size) {
  const Json& s = status.at("supervisor");
  const Palette paint{options.coloured};
  const std::string name = text_of(s.at("name"));
  std::vector<std::string> head{
      "postpone " + name.substr(0, name.find(':')) + ": " + state_of(s, "", paint) + ", up " +
          duration_of(s.at("uptime_s")) + "; database " + database_state(status, paint) + ", pool " +
          text_of(status.at("database").at("pool").at("held")) + "/" +
          text_of(status.at("database").at("pool").at("size")),
      "jobs: " + endings(status, paint) + rate(status, before), waiting_line(status),
      "sub-workers: " + count_states(status.at("sub_workers"))};
  for (const Json& reason : s.at("reasons")) head.push_back("  " + text_of(reason));
  if (!options.trouble.empty()) head.insert(head.begin(), paint(printable(options.trouble), Style::bad));
  std::string page;
  for (const std::string& line : head) page += clipped(line, size.width) + "\n";
  page += "\n";
  Table table = top_table(top_rows(status, before, options.sort));
  const std::size_t used = head.size() + 2 + (options.with_keys ? 1 : 0);  // the blank line, and the titles
  const std::size_t room =
      size.height > used + 1 ? size.height - used - 1 : 1;  // the last line is about the rest
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

#include "cli/status/status_page.h"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <utility>
#include <vector>

#include "cli/status/status_text.h"
#include "cli/text/table.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

using Json = nlohmann::json;
using Align = Table::Align;

Style style_of_ending(std::string_view ending) {
  return ending == "retried" ? Style::waiting : style_of_status(ending);
}

// The lines of the page.
class Lines {
 public:
  Lines(std::size_t width, Palette palette) : paint(palette), width_(width) {}

  void line(const std::string& text) { text_ += clipped(text, width_) + "\n"; }
  void fact(const char* name, const std::string& text) {
    std::string line = name;
    line.resize(13, ' ');
    this->line(line + text);
  }
  // At most `most` rows (0 = all). `below` is empty, or has a text for each row, which gets its own line.
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
  lines.fact("state", supervisor_state(s, ", ready", lines.paint));
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
                         (waiting == 0 ? "no sub-worker waits"
                                       : std::to_string(waiting) + " wait, the longest " +
                                             duration_of(pool.at("longest_wait_s"))));
  const Json& h = status.at("housekeeper");
  const std::string beat = duration_of(h.at("last_database_heartbeat_age_s"));
  lines.fact("housekeeper", (h.at("pid").is_null() ? lines.paint("NOT RUNNING", Style::bad)
                                                   : "pid " + text_of(h.at("pid"))) +
                                (beat.empty() ? ", no heartbeat yet" : ", heartbeat " + beat + " ago") +
                                ", " + text_of(h.at("rescued_jobs")) + " jobs rescued");
}

// What a reader should know of a sub-worker besides its job.
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

// The longest running first, then sub-workers that are in another state. Idle ones are only counted, in the
// summary.
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
                          job_progress_of(*worker), wide ? duration_of(at(job, "time_limit_s")) : "",
                          size_of(at(task_process_of(*worker), "rss_bytes")), note_of(*worker, job)});
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

// Empties the last column of the table, and returns its cells.
std::vector<std::string> take_last_column(Table& table) {
  std::vector<std::string> cells;
  for (auto& row : table.rows) cells.push_back(std::exchange(row.back(), ""));
  return cells;
}

// How many lines each list may take for its rows; 0 = as many as it has rows.
struct Shares {
  std::size_t workers = 0, queues = 0, failed = 0;
};

// Failures get a third of the room, but two lines at least, since one failure may take two; queues get a
// third of the rest. Lines that one list does not need go to the others.
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

// As share(), but leaves one more line for each list that is cut, which says how many rows are left out.
Shares share_out(std::size_t room, std::size_t workers, std::size_t queues, std::size_t failed) {
  for (std::size_t notes = 0;; ++notes) {
    const Shares shares = share(std::max<std::size_t>(room, notes + 3) - notes, workers, queues, failed);
    const std::size_t cut = (shares.workers < workers ? 1U : 0U) + (shares.queues < queues ? 1U : 0U) +
                            (shares.failed < failed ? 1U : 0U);
    if (cut <= notes || notes == 3) return shares;
  }
}

}  // namespace

std::string status_page(const Json& status, ScreenSize size, bool coloured) {
  Lines lines(size.width, Palette{coloured});
  add_supervisor(lines, status);
  add_database(lines, status);
  lines.fact("jobs", job_endings(status, lines.paint));
  lines.fact("sub-workers", sub_worker_states(status.at("sub_workers")));
  Table workers = busy_workers(status, size.width == 0 || size.width >= 100);
  Table queues = waiting_queues(status);
  Table failed = failures(status);
  bool message_below = !fits(failed, size.width);
  Shares shares;
  if (size.height > 0) {
    // The prompt of the shell takes a line, and each list a blank line and one for its titles.
    std::size_t used = lines.count() + 1;
    for (const Table* table : {&workers, &queues, &failed}) used += table->rows.empty() ? 0 : 2;
    shares = share_out(std::max<std::size_t>(size.height, used + 3) - used, workers.rows.size(),
                       queues.rows.size(), failed.rows.size() * (message_below ? 2 : 1));
    message_below = message_below && shares.failed >= 2;
    if (message_below) shares.failed /= 2;
  }
  const auto messages = message_below ? take_last_column(failed) : std::vector<std::string>();
  lines.table(std::move(workers), shares.workers, "; postpone top shows them all");
  lines.table(std::move(queues), shares.queues, "; --json shows them all");
  lines.table(std::move(failed), shares.failed, "; --json shows them all", messages);
  return lines.take();
}

}  // namespace postpone::cli

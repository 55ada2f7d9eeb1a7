// postpone locks
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/job_json.h"
#include "cli/jobs/worker_text.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/table.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"

namespace postpone::cli {
namespace {

struct LocksOptions {
  sql::LockFilter filter;
  int limit = 50;  // 0 = none
  bool as_json = false;
  Watch watch;
};

// "17", or "17 at 2025-03-30 14:05:09.250" when the job is not due yet.
std::string next_of(const sql::LockState& state) {
  if (!state.next) return "";
  const std::string job = std::to_string(*state.next);
  if (state.next_due || !state.next_scheduled_at) return job;
  return job + " at " + to_local(*state.next_scheduled_at);
}

std::vector<std::string> row_of(const sql::LockState& state) {
  const std::optional<sql::DoingJob>& holder = state.holder;
  return {printable(state.lock),
          std::to_string(state.waiting),
          holder ? std::to_string(holder->job_id) : "",
          holder ? printable(holder->task) : "",
          holder ? name_of(holder->lease) : "",
          holder && holder->lease ? printable(holder->lease->host) : "",
          holder ? running_for(*holder) : "",
          next_of(state)};
}

Table table_of(const std::vector<sql::LockState>& locks) {
  constexpr auto kRight = Table::Align::right;
  Table table{{{"LOCK"},
               {"WAITING", kRight},
               {"HELD BY", kRight},
               {"TASK"},
               {"WORKER"},
               {"HOST", Table::Align::left, nullptr, Table::Fit::first},
               {"FOR", kRight},
               {"NEXT", Table::Align::left, nullptr, Table::Fit::whole}},
              {}};
  for (const sql::LockState& state : locks) table.rows.push_back(row_of(state));
  return table;
}

Json holder_json(const sql::DoingJob& run) {
  Json json = to_json(run);
  json.erase("lock");
  json["worker"] = run.lease ? to_json(*run.lease) : Json(nullptr);
  return json;
}

Json next_json(const sql::LockState& state) {
  if (!state.next) return nullptr;
  return {{"id", *state.next},
          {"task", state.next_task},
          {"queue", state.next_queue},
          {"scheduled_at", or_null(state.next_scheduled_at)},
          {"due", state.next_due}};
}

Json lock_json(const sql::LockState& state) {
  return {{"lock", state.lock},
          {"waiting", state.waiting},
          {"holder", state.holder ? holder_json(*state.holder) : Json(nullptr)},
          {"next", next_json(state)}};
}

// Says which question was answered with no: whether a lock is held, or whether it is held or waited for.
std::string nothing_found(const sql::LockFilter& filter) {
  const std::string which = filter.lock ? "lock " + printable(*filter.lock) + " is " : "no lock is ";
  if (filter.held) return which + (filter.lock ? "not held\n" : "held\n");
  return which + (filter.lock ? "neither held nor waited for\n" : "held or waited for\n");
}

std::string draw(const Invocation& invocation, const LocksOptions& options) {
  sql::LockFilter filter = options.filter;
  if (options.limit > 0) filter.limit = options.limit + 1;
  std::vector<sql::LockState> locks = connect_overview(invocation).locks(filter);
  const bool more = options.limit > 0 && locks.size() > static_cast<std::size_t>(options.limit);
  if (more) locks.pop_back();
  if (options.as_json) {
    auto list = Json::array();
    for (const sql::LockState& state : locks) list.push_back(lock_json(state));
    return to_text({{"locks", std::move(list)}, {"more", more}});
  }
  if (locks.empty()) return nothing_found(options.filter);
  return render_for_output(table_of(locks)) + note_of_more(more);
}

}  // namespace

void add_locks_command(Command& app, Invocation& invocation) {
  Command* command = app.add_subcommand(
      "locks", "List locks that are held or waited for: their holders, how many jobs wait, which is next");
  const auto options = std::make_shared<LocksOptions>();
  nonempty(command->add_option("--lock", options->filter.lock, "Only this lock")->type_name("NAME"));
  command->add_flag("--held", options->filter.held, "Only locks that a running job holds");
  whole_number(command->add_option("--limit", options->limit, "Most locks to list, held ones first; 0 = all")
                   ->type_name("NUMBER")
                   ->capture_default_str(),
               0, kMostListed);
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace postpone::cli

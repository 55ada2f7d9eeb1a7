#include "cli/jobs/signs_of_life.h"

#include "cli/options/parser.h"
#include "cli/text/text.h"
#include "config/config.h"

namespace postpone::cli {
namespace {

constexpr auto kLongestSilence = std::chrono::days(36'525);

void set_silent_for(sql::Seconds& silent_for, const std::string& text) {
  const auto duration = config::parse_duration(text);
  if (!duration || *duration > kLongestSilence) {
    throw UsageError("--silent-for", "\"" + text +
                                         "\" is no duration up to a hundred years; write "
                                         "500ms, 30s, 5m or 2h");
  }
  silent_for = *duration;
}

}  // namespace

void add_silent_for(Command& command, sql::Seconds& silent_for) {
  command
      .add_option_function<std::string>(
          "--silent-for", [&silent_for](const std::string& text) { set_silent_for(silent_for, text); },
          "Take workers without a heartbeat for so long for dead; keep it at stalled_after or longer [30s]")
      ->type_name("DURATION");
}

std::string signs_of_life(sql::JobManager& jobs, const sql::Job& job) {
  const auto worker = job.worker_id ? jobs.worker(*job.worker_id) : std::nullopt;
  if (!worker) return "";
  const std::string name = worker->name.empty()
                               ? std::to_string(worker->id) + " (not one of Postpone's)"
                               : printable(worker->name) + " on host " + printable(worker->host) + " (" +
                                     std::to_string(worker->id) + ")";
  return "its worker " + name + " was heard of " + human_duration(worker->silent_for) + " ago";
}

std::string not_running(const sql::Job& job) {
  const std::string name = "job " + std::to_string(job.id);
  if (job.status == sql::JobStatus::todo) {
    return name + " does not run, it waits; `postpone jobs cancel " + std::to_string(job.id) + "` ends it";
  }
  return name + " has ended already (" + std::string(sql::to_string(job.status)) + ")";
}

}  // namespace postpone::cli

// postpone jobs show ID
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <string_view>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/job_json.h"
#include "cli/jobs/selection.h"
#include "cli/jobs/signs_of_life.h"
#include "cli/jobs/why_waiting.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/text/colour.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"

namespace postpone::cli {
namespace {

struct ShowOptions {
  sql::JobId id = 0;
  bool as_json = false;
};

void print_field(const char* name, const std::string& value) {
  std::cout << "  " << name << std::string(16 - std::strlen(name), ' ') << printable(value) << '\n';
}

// All that the database knows about a job.
struct Story {
  sql::Job job;
  std::vector<sql::Event> events;
  std::vector<sql::Attempt> attempts;
  std::optional<sql::GivenResult> given;  // by its last attempt
  std::optional<sql::DoingJob> run;       // while it runs
  std::vector<WhyWaiting> waits_for;      // while it waits
};

std::string styled_status(const sql::Job& job) {
  const std::string status(sql::to_string(job.status));
  return is_coloured(STDOUT_FILENO) ? styled(status, style_of_status(status)) : status;
}

// Only a waiting job holds its queueing lock.
std::string queueing_lock_of(const sql::Job& job) {
  const bool taken = job.status == sql::JobStatus::todo;
  return *job.queueing_lock + (taken ? " (no other job of it can wait until this one starts)" : "");
}

void print_job(const sql::Job& job) {
  std::cout << "job " << job.id << ": " << printable(job.task) << ", " << styled_status(job) << '\n';
  print_field("arguments", job.args);
  if (job.meta) print_field("meta", *job.meta);
  print_field("queue", job.queue);
  print_field("priority", std::to_string(job.priority));
  if (job.lock) print_field("lock", *job.lock);
  if (job.queueing_lock) print_field("queueing lock", queueing_lock_of(job));
  if (job.scheduled_at) print_field("scheduled", to_local(*job.scheduled_at));
  if (job.deferred_by) print_field("deferred by", "job " + std::to_string(*job.deferred_by));
  print_field("attempts", std::to_string(job.attempts));
  if (job.worker_id && job.status != sql::JobStatus::doing)
    print_field("worker", std::to_string(*job.worker_id));
  if (job.abort_requested) print_field("abort", "requested");
}

// "3 of 10: hashing".
std::string in_words(const sql::Progress& progress) {
  return std::to_string(progress.done) + (progress.total > 0 ? " of " + std::to_string(progress.total) : "") +
         (progress.note.empty() ? "" : ": " + progress.note);
}

void print_given(const sql::GivenResult& given) {
  if (given.progress) print_field("progress", in_words(*given.progress) + ", at " + to_local(given.at));
  if (given.result) print_field("result", *given.result);
}

constexpr std::size_t kTimeWidth = std::string_view("2025-03-30 14:05:09.250").size();

void print_events(const std::vector<sql::Event>& events) {
  std::cout << "\nevents\n";
  for (const sql::Event& event : events) {
    const std::string at = event.at ? to_local(*event.at) : "at a time not known";
    std::cout << "  " << at << std::string(kTimeWidth - std::min(at.size(), kTimeWidth), ' ') << "  "
              << printable(event.type.value_or("(an event without a type)")) << '\n';
  }
}

// Each line of a text, indented.
void print_lines(const std::string& text, const char* indent) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) std::cout << indent << printable(line) << '\n';
}

std::string end_of(const sql::Attempt& attempt) {
  if (attempt.signal) {
    return ", signal " + std::to_string(*attempt.signal) + " (" + strsignal(*attempt.signal) + ")";
  }
  if (attempt.exit_status) return ", exit status " + std::to_string(*attempt.exit_status);
  return "";
}

// " after 1.5 s, CPU 250 ms, memory 12.0 MiB". Of a lost worker none of that is known.
std::string cost_of(const sql::Attempt& attempt) {
  if (!attempt.run_time && !attempt.cpu_time && !attempt.max_rss_bytes)
    return ", its run time, CPU and memory not known";
  const auto duration = [](const std::optional<sql::Seconds>& seconds) {
    return seconds ? human_duration(*seconds) : "?";
  };
  return " after " + duration(attempt.run_time) + ", CPU " + duration(attempt.cpu_time) + ", memory " +
         (attempt.max_rss_bytes ? human_size(*attempt.max_rss_bytes) : "?");
}

void print_attempt(const sql::Attempt& attempt) {
  std::cout << "  " << attempt.attempt << "  " << sql::to_string(attempt.cause) << end_of(attempt)
            << "\n     ended " << to_local(attempt.ended_at) << cost_of(attempt);
  if (!attempt.worker_name.empty()) std::cout << ", by " << printable(attempt.worker_name);
  std::cout << '\n';
  if (!attempt.exception_type.empty()) std::cout << "     " << printable(attempt.exception_type) << '\n';
  print_lines(attempt.message, "     ");
  print_lines(attempt.stderr_tail, "     | ");
}

void print_run_or_reasons(const Story& story) {
  if (story.run) print_field("runs under", who_runs_it(*story.run, kSilentFor));
  const char* name = "waits";
  for (const WhyWaiting& reason : story.waits_for) {
    print_field(name, reason.text);
    name = "";
  }
}

Json run_json(const std::optional<sql::DoingJob>& run) {
  if (!run) return nullptr;
  return {{"started_at", or_null(run->started_at)},
          {"running_s", or_null(run->running_for)},
          {"worker", run->lease ? to_json(*run->lease) : Json(nullptr)}};
}

Json reason_json(const WhyWaiting& reason) {
  return {{"reason", to_string(reason.reason)},
          {"text", reason.text},
          {"job_id", reason.job_id ? Json(*reason.job_id) : Json(nullptr)},
          {"due_in_s", or_null(reason.due_in)}};
}

Json as_json(const Story& story) {
  Json json = to_json(story.job);
  const Json given = story.given ? to_json(*story.given) : Json();
  for (const char* key : {"result", "progress"}) json[key] = given.is_null() ? Json(nullptr) : given.at(key);
  json["runs"] = run_json(story.run);
  json["waits_for"] = Json::array();
  for (const WhyWaiting& reason : story.waits_for) json["waits_for"].push_back(reason_json(reason));
  json["events"] = Json::array();
  for (const sql::Event& event : story.events) json["events"].push_back(to_json(event));
  json["history"] = Json::array();
  for (const sql::Attempt& attempt : story.attempts) json["history"].push_back(to_json(attempt));
  return json;
}

// Adds the worker that runs the job, or the reasons why it waits. The job may change its status between two
// queries; then the story stays as it was read first.
void add_run_or_reasons(const Invocation& invocation, Story& story) {
  const bool waits = story.job.status == sql::JobStatus::todo;
  if (!waits && story.job.status != sql::JobStatus::doing) return;
  sql::Overview overview = connect_overview(invocation);
  const std::optional<sql::Standing> standing = overview.standing(story.job.id);
  if (!standing || standing->status != story.job.status) return;
  story.run = standing->run;
  if (!waits) return;
  std::optional<KnownGroups> groups;
  if (std::optional<config::Config> config = configuration(invocation))
    groups = KnownGroups{invocation.config_file, std::move(*config)};
  story.waits_for = why_waiting(story.job, *standing, overview.workers(), groups, kSilentFor);
}

Story story_of(const Invocation& invocation, sql::JobId id) {
  sql::JobManager jobs = connect(invocation);
  std::optional<sql::Job> job = find(jobs, id);
  if (!job) throw Failure(ExitCode::not_done, "there is no job " + std::to_string(id));
  Story story{std::move(*job), jobs.events(id), jobs.attempts(id), std::nullopt, std::nullopt, {}};
  story.given = jobs.given_result(story.job);
  add_run_or_reasons(invocation, story);
  return story;
}

ExitCode show(const Invocation& invocation, const ShowOptions& options) {
  const Story story = story_of(invocation, options.id);
  if (options.as_json) {
    print(as_json(story));
    return ExitCode::done;
  }
  print_job(story.job);
  if (story.given) print_given(*story.given);
  print_run_or_reasons(story);
  print_events(story.events);
  if (!story.attempts.empty()) std::cout << "\nattempts\n";
  for (const sql::Attempt& attempt : story.attempts) print_attempt(attempt);
  return ExitCode::done;
}

}  // namespace

void add_jobs_show(Command& jobs, Invocation& invocation) {
  Command* command = jobs.add_subcommand("show",
                                         "Show a job: which worker runs it, or why it waits, its events, "
                                         "and how each of its attempts ended: cause, "
                                         "message, last lines of stderr");
  const auto options = std::make_shared<ShowOptions>();
  job_id(command->add_option("ID", options->id, "The job's id")->type_name("")->required());
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return show(invocation, *options); };
  });
}

}  // namespace postpone::cli

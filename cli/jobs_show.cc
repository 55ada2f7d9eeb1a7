// postpone jobs show ID
#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>

#include "cli/job_json.h"
#include "cli/jobs.h"
#include "cli/text.h"
#include "cli/timestamp.h"

namespace postpone::cli {
namespace {

struct ShowOptions {
  sql::JobId id = 0;
  bool as_json = false;
};

void print_field(const char* name, const std::string& value) {
  std::cout << "  " << name << std::string(16 - std::strlen(name), ' ') << printable(value) << '\n';
}

void print_job(const sql::Job& job) {
  std::cout << "job " << job.id << ": " << printable(job.task) << ", " << sql::to_string(job.status) << '\n';
  print_field("arguments", job.args);
  print_field("queue", job.queue);
  print_field("priority", std::to_string(job.priority));
  if (job.lock) print_field("lock", *job.lock);
  if (job.queueing_lock) print_field("queueing lock", *job.queueing_lock);
  if (job.scheduled_at) print_field("scheduled", to_local(*job.scheduled_at));
  print_field("attempts", std::to_string(job.attempts));
  if (job.worker_id) print_field("worker", std::to_string(*job.worker_id));
  if (job.abort_requested) print_field("abort", "requested");
}

void print_events(const std::vector<sql::Event>& events) {
  std::cout << "\nevents\n";
  for (const sql::Event& event : events) {
    std::cout << "  " << to_local(event.at) << "  " << printable(event.type) << '\n';
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

void print_attempt(const sql::Attempt& attempt) {
  std::cout << "  " << attempt.attempt << "  " << sql::to_string(attempt.cause) << end_of(attempt)
            << "\n     ended " << to_local(attempt.ended_at) << " after " << human_duration(attempt.run_time)
            << ", CPU " << human_duration(attempt.cpu_time) << ", memory "
            << human_size(attempt.max_rss_bytes);
  if (!attempt.worker_name.empty()) std::cout << ", by " << printable(attempt.worker_name);
  std::cout << '\n';
  if (!attempt.exception_type.empty()) std::cout << "     " << printable(attempt.exception_type) << '\n';
  print_lines(attempt.message, "     ");
  print_lines(attempt.stderr_tail, "     | ");
}

Json as_json(const sql::Job& job, const std::vector<sql::Event>& events,
             const std::vector<sql::Attempt>& attempts) {
  Json json = to_json(job);
  json["events"] = Json::array();
  for (const sql::Event& event : events) json["events"].push_back(to_json(event));
  json["history"] = Json::array();
  for (const sql::Attempt& attempt : attempts) json["history"].push_back(to_json(attempt));
  return json;
}

ExitCode show(const Invocation& invocation, const ShowOptions& options) {
  sql::JobManager jobs = connect(invocation);
  const std::optional<sql::Job> job = find(jobs, options.id);
  if (!job) throw Failure(ExitCode::not_done, "there is no job " + std::to_string(options.id));
  const std::vector<sql::Event> events = jobs.events(job->id);
  const std::vector<sql::Attempt> attempts = jobs.attempts(job->id);
  if (options.as_json) {
    print(as_json(*job, events, attempts));
    return ExitCode::done;
  }
  print_job(*job);
  print_events(events);
  if (!attempts.empty()) std::cout << "\nattempts\n";
  for (const sql::Attempt& attempt : attempts) print_attempt(attempt);
  return ExitCode::done;
}

}  // namespace

void add_jobs_show(CLI::App& jobs, Invocation& invocation) {
  CLI::App* command = jobs.add_subcommand(
      "show",
      "Show a job, its events, and how each of its attempts ended: cause, message, last lines of stderr");
  const auto options = std::make_shared<ShowOptions>();
  command->add_option("ID", options->id, "The job's id")->type_name("")->required();
  command->add_flag("--json", options->as_json, "Print JSON");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return show(invocation, *options); };
  });
}

}  // namespace postpone::cli

// postpone jobs replay: the arguments of a job that has ended, once more, in a task executable here. The command
// reads the job, closes its connection, and becomes the task executable: so a debugger in front of it has the terminal,
// and the exit code is that of `run`. Nothing is recorded, and the executable hears nothing of the database.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/connect.h"
#include "cli/jobs/commands.h"
#include "cli/jobs/selection.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/text/text.h"
#include "config/private_variables.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace postpone::cli {
namespace {

struct ReplayOptions {
  sql::JobId id = 0;
  std::vector<std::string> program;
  std::optional<int> attempt;
  std::optional<std::string> abort_after;
  bool as_json = false;
};

sql::Job read_job(const Invocation& invocation, sql::JobId id) {
  sql::JobManager jobs = connect(invocation);
  const std::string name = "job " + std::to_string(id);
  std::optional<sql::Job> job = find(jobs, id);
  if (!job) throw Failure(ExitCode::not_done, "there is no " + name + " (database " + jobs.database() + ")");
  const std::string status(sql::to_string(job->status));
  if (job->status == sql::JobStatus::todo || job->status == sql::JobStatus::doing)
    throw Failure(ExitCode::not_done, name +
                                          (job->status == sql::JobStatus::todo ? " waits" : " is running") +
                                          " (" + status + "), and only a job that has ended can be replayed");
  std::cerr << "postpone: " << name << ": " << printable(job->task) << ", " << status
            << ", read from database " << printable(jobs.database())
            << "; it runs here now, and nothing is recorded there\n";
  return *std::move(job);
}

// A descriptor with the text, for the program that this one becomes: a command line can be read by every user of the
// host, and holds 128 KiB.
int descriptor_with(const std::string& text) {
  const sys::Fd memory = sys::make_sealed_memfd("replayed job", text);
  constexpr int kLowest = 10;  // a shell does not use those
  const int descriptor = fcntl(memory.get(), F_DUPFD, kLowest);
  if (descriptor < 0)
    throw Failure(ExitCode::not_done,
                  std::string("no descriptor for the arguments: ") + std::strerror(errno));
  return descriptor;
}

std::string file_with(const std::string& text) {
  return "@/dev/fd/" + std::to_string(descriptor_with(text));
}

std::vector<std::string> words_of(const ReplayOptions& options, const sql::Job& job) {
  std::vector<std::string> words = options.program;
  const int attempt = options.attempt.value_or(std::max(job.attempts, 1));
  for (const std::string& word :
       {std::string("run"), job.task, file_with(job.args), std::string("--id"), std::to_string(job.id),
        std::string("--attempt"), std::to_string(attempt), "--queue=" + job.queue,
        "--priority=" + std::to_string(job.priority), "--lock=" + job.lock.value_or("")})
    words.push_back(word);
  if (job.meta) words.push_back("--meta=" + file_with(*job.meta));
  if (options.abort_after) words.push_back("--abort-after=" + *options.abort_after);
  if (options.as_json) words.emplace_back("--json");
  return words;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

ExitCode replay(const Invocation& invocation, const ReplayOptions& options) {
  const sql::Job job = read_job(invocation, options.id);
  std::vector<std::string> words = words_of(options, job);
  std::vector<std::string> environment;
  for (const auto& [name, value] : sys::current_environment(config::is_private_variable))
    environment.push_back(name + "=" + value);
  std::cout.flush();
  execvpe(words.front().c_str(), pointers_to(words).data(), pointers_to(environment).data());
  throw Failure(ExitCode::not_done, "cannot start " + words.front() + ": " + std::strerror(errno));
}

}  // namespace

void add_jobs_replay(Command& jobs, Invocation& invocation) {
  Command* command = jobs.add_subcommand(
      "replay",
      "Run the arguments of a job that has ended once more, here, in a task executable; nothing is recorded");
  const auto options = std::make_shared<ReplayOptions>();
  job_id(command->add_option("ID", options->id, "The job's id")->type_name("")->required());
  nonempty(
      command
          ->add_option("PROGRAM", options->program,
                       "The task executable, with what is to stand in front of it: -- gdb --args build/tasks")
          ->type_name("")
          ->required());
  whole_number(command
                   ->add_option("--attempt", options->attempt,
                                "Which attempt the handler sees; without it, the job's last")
                   ->type_name("NUMBER"),
               1);
  nonempty(command
               ->add_option("--abort-after", options->abort_after,
                            "After this time should_abort() is true: 500ms, 2s, 5m")
               ->type_name("DURATION"));
  command->add_flag(
      "--json", options->as_json,
      "Print the outcome as JSON; what the handler writes to standard output goes to standard error");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return replay(invocation, *options); };
  });
}

}  // namespace postpone::cli

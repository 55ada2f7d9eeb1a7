// postpone defer TASK [JSON], postpone defer --stdin
#include <iostream>
#include <iterator>
#include <memory>

#include "cli/connect.h"
#include "cli/defer/arguments.h"
#include "cli/defer/defer_lines.h"
#include "cli/options/due_time.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/text/text.h"
#include "sql/job_manager.h"

namespace postpone::cli {
namespace {

struct DeferOptions {
  sql::DeferRequest request;
  DueTime due;
  std::string on_conflict{sql::to_string(sql::OnConflict::refuse)};
  bool ignore_already_enqueued = false;
  bool from_lines = false;  // --stdin
  bool all_or_nothing = false;
  bool print_ids = false;
};

// "-" stands for standard input.
void read_arguments(std::string& text) {
  if (text == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    text = std::string(without_mark(text));
  }
  const std::string problem = problem_with_arguments(text);
  if (!problem.empty()) throw Failure(ExitCode::usage, "the arguments: " + problem);
}

std::string describe_waiting(sql::JobManager& jobs, const std::string& queueing_lock) {
  const std::optional<sql::JobId> waiting = jobs.waiting_under(queueing_lock);
  return (waiting ? "job " + std::to_string(*waiting) : "a job") + " with queueing lock \"" + queueing_lock +
         "\" waits already";
}

ExitCode defer_one(const Invocation& invocation, DeferOptions& options) {
  read_arguments(options.request.args);
  if (options.request.meta) {
    const std::string problem = problem_with_arguments(*options.request.meta);
    if (!problem.empty()) throw Failure(ExitCode::usage, "--meta: " + problem);
  }
  sql::JobManager jobs = connect_to_change(invocation);
  try {
    std::cout << jobs.defer({options.request}).front() << '\n';
    return ExitCode::done;
  } catch (const sql::AlreadyEnqueued& refusal) {
    // With another choice than "refuse" the job that waits cannot be met, which the database explains.
    if (options.request.on_conflict != sql::OnConflict::refuse)
      throw Failure(ExitCode::not_done, printable(refusal.what()));
    const std::string reason = "already enqueued: " + describe_waiting(jobs, refusal.queueing_lock());
    if (options.ignore_already_enqueued) {
      std::cerr << "postpone: " << printable(reason) << '\n';
      return ExitCode::done;
    }
    throw Failure(ExitCode::not_done, reason + "; use --ignore-already-enqueued to take that for a success");
  }
}

ExitCode defer(const Invocation& invocation, DeferOptions& options) {
  options.request.on_conflict = sql::parse_on_conflict(options.on_conflict).value();
  options.request.scheduled_at = options.due.at;
  options.request.scheduled_in = options.due.in;
  if (!options.from_lines) return defer_one(invocation, options);
  return defer_lines(invocation, {options.request, options.ignore_already_enqueued, options.all_or_nothing,
                                  options.print_ids});
}

void check(const Command& command, DeferOptions& options) {
  if (options.request.task == "-") {
    options.from_lines = true;
    options.request.task.clear();
  }
  if (!options.from_lines && options.request.task.empty()) throw UsageError("TASK is required");
  if (options.from_lines && command.count("JSON") > 0)
    throw UsageError("arguments stand in the lines of standard input, not on the command line");
  if (options.ignore_already_enqueued && options.on_conflict != "refuse")
    throw UsageError("--ignore-already-enqueued and --on-conflict " + options.on_conflict +
                     " say two things: leave one of them out");
  if (!options.from_lines && options.on_conflict != "refuse" &&
      options.request.queueing_lock.value_or("").empty())
    throw UsageError("--on-conflict " + options.on_conflict +
                     " needs a --queueing-lock: without one no job meets another");
  if (!options.from_lines && (options.all_or_nothing || options.print_ids))
    throw UsageError("--all-or-nothing and --print-ids go with --stdin");
}

}  // namespace

void add_defer_command(Command& app, Invocation& invocation) {
  Command* command =
      app.add_subcommand("defer", "Create a job, and print its id; or many, from lines of JSON");
  const auto options = std::make_shared<DeferOptions>();
  sql::DeferRequest& request = options->request;
  nonempty(command->add_option("TASK", request.task, "The task's name; - for --stdin")->type_name(""));
  command->add_option("JSON", request.args, "Its arguments, a JSON object; - reads standard input")
      ->type_name("")
      ->capture_default_str();
  nonempty(command->add_option("--queue", request.queue, "The queue in which the job waits")
               ->type_name("NAME")
               ->capture_default_str());
  nonempty(command->add_option("--lock", request.lock, "Jobs of one lock run one at a time, in order")
               ->type_name("NAME"));
  nonempty(
      command
          ->add_option("--queueing-lock", request.queueing_lock, "At most one job of a queueing lock waits")
          ->type_name("NAME"));
  whole_number(command->add_option("--priority", request.priority, "Higher goes first")
                   ->type_name("NUMBER")
                   ->capture_default_str());
  add_due_time_options(*command, options->due);
  command
      ->add_option(
          "--on-conflict", options->on_conflict,
          "What becomes of it while a job with this queueing lock waits: refuse fails; keep answers "
          "with the id of that job; replace gives that job the new arguments, time, priority and meta")
      ->type_name("CHOICE")
      ->choices({"refuse", "keep", "replace"})
      ->capture_default_str();
  command->add_option("--meta", request.meta, "A small JSON object beside the arguments")->type_name("JSON");
  command->add_flag("--ignore-already-enqueued", options->ignore_already_enqueued,
                    "Succeed, and print no id, when a job with this queueing lock waits already");
  command->add_flag("--stdin", options->from_lines,
                    "Read jobs from standard input, one JSON object a line, with the keys task, args, queue, "
                    "priority, lock, queueing_lock, scheduled_at, on_conflict, meta; the options hold for "
                    "what a line does not say");
  command->add_flag("--all-or-nothing", options->all_or_nothing,
                    "With --stdin: one transaction for all lines, instead of one for each thousand");
  command->add_flag("--print-ids", options->print_ids,
                    "With --stdin: print the ids, one a line, instead of how many there are");
  command->parse_complete_callback([command, options] { check(*command, *options); });
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return defer(invocation, *options); };
  });
}

}  // namespace postpone::cli

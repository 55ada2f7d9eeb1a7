#include "by_hand.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>

#include "execute.h"
#include "json_text.h"
#include "process_life.h"
#include "termination.h"

namespace libtask::detail {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

std::string help(std::string_view program) {
  const std::string line = "  " + std::string(program);
  return "A task executable of Postpone. A supervisor starts it; by hand:\n" + line +
         " run TASK [JSON]   run one job now, without a database; JSON holds its arguments\n" + line +
         " --list            the tasks, each with the names of its arguments\n" + line +
         " --describe        the tasks with all their options, and the schedules, as JSON\n" + line +
         " --help            this text\n";
}

// What the run has to say goes to stderr: stdout is the handler's.
class Terminal : public JobGiver {
 public:
  std::optional<AbortReason> stop_wish(std::int64_t) override {
    return std::nullopt;
  }  // RunningJob sees the signals
  void tell_progress(const wire::Progress& progress) override {
    std::cerr << "progress: " << progress.done;
    if (progress.total > 0) std::cerr << " of " << progress.total;
    std::cerr << '\n';
  }
  int stop_descriptor() const override { return -1; }
  void log(const wire::Log& line) override {
    static constexpr std::array kLevels = {"debug", "info", "warning", "error"};
    std::cerr << kLevels.at(static_cast<std::size_t>(line.level)) << ": " << line.text;
    if (line.fields != "{}") std::cerr << ' ' << line.fields;
    std::cerr << '\n';
  }
};

void print_deferred(const wire::DeferredJob& job) {
  std::cerr << "would defer " << job.task << ' ' << job.args << " (queue " << job.queue;
  if (job.priority != 0) std::cerr << ", priority " << job.priority;
  if (job.lock) std::cerr << ", lock " << *job.lock;
  if (job.queueing_lock) std::cerr << ", queueing lock " << *job.queueing_lock;
  if (job.delay_us > 0) std::cerr << ", in " << static_cast<double>(job.delay_us) / 1e6 << " s";
  std::cerr << ")\n";
}

void print_failure(const TaskEntry& task, const wire::Result& result) {
  std::cerr << "failed: " << result.exception_type << (result.message.empty() ? "" : ": ") << result.message
            << '\n';
  if (result.retry_in_us) {
    std::cerr << "would be retried in " << static_cast<double>(*result.retry_in_us) / 1e6 << " s";
    if (result.retry_queue) std::cerr << ", in queue " << *result.retry_queue;
    if (result.retry_priority) std::cerr << ", with priority " << *result.retry_priority;
    if (result.retry_lock) std::cerr << ", with lock " << *result.retry_lock;
    std::cerr << (result.retry_counts ? "\n" : ", whatever its max_attempts\n");
  } else if (task.retry) {
    std::cerr << (result.retryable ? "would be retried\n"
                                   : "would not be retried: not one of the exceptions to retry on\n");
  }
}

int report(const TaskEntry& task, const wire::Result& result, std::chrono::duration<double> run_time) {
  switch (result.status) {
    case wire::ResultStatus::succeeded:
      for (const wire::DeferredJob& job : result.defers) print_deferred(job);
      std::cerr << "succeeded in " << run_time.count() << " s\n";
      return kDone;
    case wire::ResultStatus::bad_arguments:
      std::cerr << "bad arguments: " << result.message << '\n';
      return kUsage;
    case wire::ResultStatus::aborted:
      std::cerr << "aborted: " << result.message << '\n';
      return kFailed;
    case wire::ResultStatus::exception:
    case wire::ResultStatus::unknown_task:
      break;
  }
  print_failure(task, result);
  return kFailed;
}

int usage_error(std::string_view program, const std::string& message) {
  std::cerr << program << ": " << message << '\n';
  return kUsage;
}

int run_job(const Registry& registry, std::string_view program, const std::string& name,
            const std::string& args) {
  const TaskEntry* task = registry.find(name);
  if (task == nullptr) {
    return usage_error(program, "no task is called \"" + name + "\"; " + registry.nearest(name));
  }
  try {
    object_keys(args);
  } catch (const std::invalid_argument& error) {
    return usage_error(program, std::string("the arguments are ") + error.what());
  }
  const auto limit = task->time_limit.value_or(std::chrono::milliseconds(0));
  const wire::Run run{.task = name,
                      .queue = task->queue,
                      .priority = task->priority,
                      .lock = task->lock.value_or(""),
                      .args = args,
                      .time_limit_ms = limit.count()};
  catch_termination_by_hand();
  if (!set_up(registry)) return kFailed;
  Terminal terminal;
  const auto begin = std::chrono::steady_clock::now();
  const wire::Result result = execute(run, registry, terminal);
  int status = report(*task, result, std::chrono::steady_clock::now() - begin);
  if (!tear_down(registry) && status == kDone) status = kFailed;
  if (std::cout.flush() && std::fflush(stdout) == 0) return status;
  std::cerr << program << ": what the job wrote to standard output could not be written\n";
  return status == kDone ? kFailed : status;
}

// A pipe that closed early must not pass for success: the reader of --describe would believe half of it.
int print(const std::string& text) {
  std::cout << text;
  return std::cout.flush() ? kDone : kFailed;
}

// "dishes.wash dish times", one line a task.
std::string list_of(const Registry& registry) {
  std::string lines;
  for (const TaskEntry& task : registry.tasks) {
    lines += task.name;
    for (const std::string& parameter : task.parameters) lines += " " + parameter;
    lines += '\n';
  }
  return lines;
}

}  // namespace

int serve_by_hand(const Registry& registry, std::string_view program,
                  const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments.front();
  if (command == "run" && (arguments.size() == 2 || arguments.size() == 3)) {
    return run_job(registry, program, arguments[1], arguments.size() == 3 ? arguments[2] : "{}");
  }
  // Whatever follows: a group of sub-workers may give its program arguments of its own, which are not ours to
  // read.
  if (command == "--describe") return print(describe(registry) + "\n");
  if (arguments.size() == 1) {
    if (command == "--list") return print(list_of(registry));
    if (command == "--help" || command == "-h") return print(help(program));
  }
  std::cerr << help(program);
  return kUsage;
}

}  // namespace libtask::detail

#include "execute.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "json_text.h"
#include "thrown.h"

namespace libtask::detail {
namespace {

// The longest wait that a retry may ask for: 100 years, which any clock on the way can hold.
constexpr std::chrono::duration<double> kLongestWait = std::chrono::hours(24 * 36525);

std::string_view words(std::optional<AbortReason> reason) {
  if (!reason) return "the handler gave up although nobody had asked it to";
  switch (*reason) {
    case AbortReason::requested:
      return "aborted on request";
    case AbortReason::time_limit:
      return "stopped at its time limit";
    case AbortReason::shutdown:
      return "stopped because its process had to end";
  }
  return "";
}

// The middlewares of a task and, within them, its handler.
class Chain {
 public:
  explicit Chain(const TaskEntry& task) : handler_(task.handler) {
    for (const Scope* scope = task.scope; scope != nullptr; scope = scope->outer)
      for (auto each = scope->around.rbegin(); each != scope->around.rend(); ++each)
        inside_out_.push_back(&*each);
  }
  // A Retry that cannot be is another exception, as if retry_in() had been called.
  void run(Context& job) const {
    try {
      run(job, inside_out_.size());
    } catch (const Retry& retry) {
      possible(retry);
      throw;
    }
  }

 private:
  void run(Context& job, std::size_t around) const {
    if (around == 0) return handler_(job);
    (*inside_out_[around - 1])(job, [this, around](Context& inner) { run(inner, around - 1); });
  }

  const Handler& handler_;
  std::vector<const Middleware*> inside_out_;
};

std::optional<wire::Abort::Reason> on_the_wire(std::optional<AbortReason> reason) {
  if (!reason) return std::nullopt;
  switch (*reason) {
    case AbortReason::requested:
      return wire::Abort::Reason::requested;
    case AbortReason::time_limit:
      return wire::Abort::Reason::time_limit;
    case AbortReason::shutdown:
      return wire::Abort::Reason::shutdown;
  }
  return std::nullopt;
}

std::int64_t wait_us(std::chrono::duration<double> wait) {
  const auto bounded = std::isnan(wait.count())
                           ? std::chrono::duration<double>(0)
                           : std::clamp(wait, std::chrono::duration<double>(0), kLongestWait);
  return std::chrono::duration_cast<std::chrono::microseconds>(bounded).count();
}

bool is_retryable(const TaskEntry& task, const std::exception_ptr& thrown) {
  if (!task.retry || task.retry->on.empty()) return true;
  return std::any_of(task.retry->on.begin(), task.retry->on.end(),
                     [&thrown](ExceptionMatcher matches) { return matches(thrown); });
}

// Reads the exception that is being handled.
void tell_exception(wire::Result& result, const TaskEntry& task, const RunningJob& job) {
  try {
    throw;
  } catch (const Aborted&) {
    result.status = wire::ResultStatus::aborted;
    result.message = words(job.abort_signs().reason());
    result.abort_reason = on_the_wire(job.abort_signs().reason());
  } catch (const Retry& retry) {
    result.status = wire::ResultStatus::exception;
    result.exception_type = "libtask::Retry";
    result.message = retry.reason.empty() ? "the handler asked for a retry" : shortened(retry.reason);
    result.retry_in_us = wait_us(retry.in);
    result.retry_counts = retry.changes.counts;
    result.retry_priority = retry.changes.priority;
    result.retry_queue = retry.changes.queue;
    result.retry_lock = retry.changes.lock;
  } catch (const BadArguments& error) {
    result.status = wire::ResultStatus::bad_arguments;
    result.message = shortened(what_of(error));
  } catch (...) {
    Thrown thrown = describe_current_exception();
    result.status = wire::ResultStatus::exception;
    result.exception_type = std::move(thrown.type);
    result.message = std::move(thrown.message);
    result.retryable = is_retryable(task, std::current_exception());
  }
}

// Memory that is empty in a forked process, whichever way it was forked. A look at it is no system call, as
// getpid() is. Null where the kernel has no such memory.
char* memory_of_this_process() {
  void* const memory = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool is_there = memory != MAP_FAILED && madvise(memory, 1, MADV_WIPEONFORK) == 0;
  return is_there ? static_cast<char*>(memory) : nullptr;
}

// The process that runs the job. A test may run one in a process that it has forked for that.
class Runner {
 public:
  void is_this_process() {
    if (memory_ != nullptr) {
      *memory_ = 1;
    } else {
      pid_ = getpid();
    }
  }
  bool is_another() const { return memory_ != nullptr ? *memory_ == 0 : getpid() != pid_; }

 private:
  volatile char* const memory_ = memory_of_this_process();
  pid_t pid_ = 0;
};

Runner& runner() {
  static Runner the_runner;
  return the_runner;
}

void end_if_forked(const std::string& task) {
  if (!runner().is_another()) return;
  std::fprintf(
      stderr,
      "libtask: a process that the handler of %s forked came back from it; it must end with _exit()\n",
      task.c_str());
  std::_Exit(70);
}

// Before the result is sent, so that the sub-worker takes the job's last lines for its own.
void flush_output() {
  std::cout.flush();
  std::clog.flush();
  std::fflush(stdout);
  std::fflush(stderr);
}

}  // namespace

wire::Result execute(const wire::Run& run, const Registry& registry, JobGiver& giver) {
  wire::Result result;
  result.job_id = run.job_id;
  const TaskEntry* task = registry.find(run.task);
  if (task == nullptr) {
    result.status = wire::ResultStatus::unknown_task;
    result.message = "this task executable has no task \"" + run.task + "\"; " + registry.nearest(run.task);
    return result;
  }
  RunningJob job(run, registry, giver);
  runner().is_this_process();
  try {
    Context context(job);
    Chain(*task).run(context);
    // A handler that was told to stop, and returned, has stopped before its work was done: no success.
    if (job.abort_signs().end_telling()) throw Aborted{};
    result.defers = job.take_deferred();
  } catch (...) {
    tell_exception(result, *task, job);
  }
  end_if_forked(run.task);
  job.abort_signs().end();
  flush_output();
  job.tell_untold_progress();
  if (result.status == wire::ResultStatus::succeeded) job.tell_result();
  return result;
}

void expect_no_arguments(const Context& job) {
  if (job.args() == "{}") return;
  for (const std::string_view key : object_keys(job.args())) {
    if (key == "timestamp") continue;
    throw BadArguments("unexpected argument \"" + std::string(key) + "\" of " + job.task() +
                       ": it takes none");
  }
}

}  // namespace libtask::detail

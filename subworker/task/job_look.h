// A look at a job that runs: what its process does, and where its handler is. It is taken when the job has
// run for `slow_after`, again at twice, four times, … that, and whenever a person asks (`postpone stack`).
// What is seen goes into the log as one warning, and to the person as the answer.
//
// The task process is asked for the handler's stack with a signal, and answers with a frame
// (libtask/src/stack.h). A process may be unable to answer, because it is stopped, deep in the kernel, or
// knows no such signal. Then the report has no stack; what the kernel says of the process stands there in any
// case.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libtask/wire/frame.h"
#include "sys/doing.h"
#include "sys/inquiry.h"
#include "sys/process.h"

namespace postpone::subworker {

// When a job that runs is looked at, in time since its start: `first`, and then each time twice as late.
// Pure.
class SlowSchedule {
 public:
  explicit SlowSchedule(std::chrono::milliseconds first) : next_(first) {}  // 0 = never
  // True once for each time that has come; one that was slept through does not come again.
  bool is_due(std::chrono::nanoseconds elapsed);

 private:
  std::chrono::nanoseconds next_;
};

// The frames of a stack (innermost first, demangled) that are the handler's own.
std::vector<std::string> of_the_handler(std::vector<std::string> stack);

class JobLook {
 public:
  using Clock = std::chrono::steady_clock;

  // At the start of the job. REQUIRES: the process outlives it; a sys::LogContext of the job lives meanwhile.
  JobLook(sys::Process& process, std::optional<int> stack_signal, std::int64_t job_id,
          std::chrono::milliseconds slow_after);

  // The questions that are still open are answered: the job has ended.
  ~JobLook();
  JobLook(const JobLook&) = delete;
  JobLook& operator=(const JobLook&) = delete;

  // To be called often while the job runs.
  void tick(std::chrono::nanoseconds elapsed);

  // The task process has sent a stack.
  void answered(const libtask::wire::Stack& stack, std::chrono::nanoseconds elapsed);

 private:
  void begin(std::chrono::nanoseconds elapsed);
  std::string why_not_to_ask() const;
  void report(std::chrono::nanoseconds elapsed, pid_t thread, const std::vector<std::string>& stack,
              const std::string& no_stack);

  sys::Process& process_;
  const std::optional<int> stack_signal_;
  const std::int64_t job_id_;
  SlowSchedule schedule_;
  const std::chrono::microseconds cpu_before_;
  std::optional<Clock::time_point> patience_;  // until when a stack is waited for; nothing = none is
  bool unanswered_ = false;                    // the signal was sent, and no stack has come
  bool is_scheduled_ = false;                  // the look that is under way is one of those of slow_after
  std::optional<sys::Doing> before_;           // what it did when the look began
  std::vector<sys::Question> questions_;       // to be answered by the look that is under way
};

// Answers a question about a job that does not run here. For a sub-worker that runs none.
void refuse_questions();

}  // namespace postpone::subworker

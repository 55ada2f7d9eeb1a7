// One run of a job: the poll loop and what it keeps. The inside of TaskProcess.
#pragma once

#include "subworker/task/job_look.h"
#include "subworker/task/task_process.h"

namespace postpone::subworker {

class TaskProcess::Run {
 public:
  Run(TaskProcess& owner, const sql::Job& job, std::chrono::milliseconds time_limit, const RunHooks& hooks,
      Clock::time_point started = Clock::now());

  // Sends the job, and returns how it ended.
  Execution go();
  // The same of a job that the task process has, as one of a set.
  Execution go_on();
  // The same when the ledger cannot be believed.
  Execution give_up(const std::string& garble);
  bool attend();
  bool has_ended() const { return end_.has_value(); }

 private:
  using Frame = libtask::wire::Frame;

  template <class Step>
  void guarded(Step step);
  void start();
  Execution go_to_its_end();
  void look();
  void wait();
  void take(Frame& frame);
  void expect_own(std::int64_t job_id, const char* what) const;
  void watch(std::chrono::nanoseconds elapsed);
  void ask_to_stop(StopReason reason);
  void died();
  void weigh();
  std::int64_t memory_limit() const;
  void flooded();
  Execution report();

  using End = decltype(Execution::end);

  TaskProcess& owner_;
  const sql::Job& job_;
  const std::chrono::milliseconds time_limit_;
  const RunHooks& hooks_;
  const Clock::time_point started_;
  JobLook look_;
  std::optional<End> end_;
  std::optional<Clock::time_point> ended_;  // where others waited while it ended
  std::optional<std::string> value_;
  std::optional<sql::Progress> progress_;
  std::optional<StopReason> stop_;
  Clock::time_point kill_at_;
  bool killed_ = false;
  bool process_ended_ = false;
  Clock::time_point next_weighing_;
  bool too_heavy_ = false;  // at the last weighing
  std::chrono::microseconds cpu_of_dead_{0};
  std::int64_t rss_of_dead_ = 0;
};

// While it lives, attend() finds this run.
class TaskProcess::Attended {
 public:
  Attended(Run*& running, Run& run) : running_(running) { running_ = &run; }
  ~Attended() { running_ = nullptr; }
  Attended(const Attended&) = delete;
  Attended& operator=(const Attended&) = delete;

 private:
  Run*& running_;
};

}  // namespace postpone::subworker

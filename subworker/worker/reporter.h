// What a sub-worker reports for people to see, on the board and in its process title: its job, its task
// process, its counts. A few dozen stores a job, and no system call but a look into /proc once a second at
// most. No process decides anything by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "board/board.h"
#include "libtask/wire/description.h"
#include "sql/job.h"

namespace postpone::subworker {

class Reporter {
 public:
  // `name`: of the sub-worker, "kitchen/3". REQUIRES: the slot is ours.
  Reporter(const board::Header& header, board::Slot& slot, std::string name)
      : header_(header), counters_(slot.counters), telemetry_(slot.telemetry), name_(std::move(name)) {}

  // What the sub-worker is about, as `ps` shows it: "idle".
  void does(std::string_view activity) const;

  // A task process was started; it has these tasks (known once it was greeted).
  void task_started(pid_t pid);
  void task_ended();
  void task_has(const libtask::wire::Description& description);
  // Reads memory and CPU time of the task process, once a second at most. `idle`: not if the process has
  // served no job since the last time, because nothing can have changed then.
  void weigh_task(int jobs_served, bool idle);

  // How long a job could have been run before it was fetched.
  void fetched(const sql::Job& job);
  // So many jobs are handed over together. People see the one that runs when it is by itself.
  void set_started(std::size_t jobs) const;
  // One of them has succeeded, and nothing was said of it before.
  void ran_plainly(const sql::Job& job, const sql::Outcome& outcome);
  void job_started(const sql::Job& job, std::chrono::milliseconds time_limit);
  void progressed(const sql::Job& job, const sql::Progress& progress);
  void job_ended(const sql::Job& job, const sql::Outcome& outcome);

  // A ring for work was answered, by a sub-worker that was idle since `idle_since_ns`.
  void woken(std::int64_t rung_ns, std::int64_t idle_since_ns);

 private:
  void count_end(const sql::Job& job, const sql::Outcome& outcome);
  void tell_start(const sql::Job& job) const;
  void tell_end(const sql::Job& job, const sql::Outcome& outcome) const;
  bool are_news_wanted() const;
  void count(const sql::Outcome& outcome);
  void news(board::News news, const sql::Job& job) const;

  const board::Header& header_;
  board::Counters& counters_;
  board::Telemetry& telemetry_;
  const std::string name_;
  board::TaskFacts task_;
};

}  // namespace postpone::subworker

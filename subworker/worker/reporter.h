// What a sub-worker tells on the board for people to see: its job, its task process, its counts. A few dozen
// stores a job, no system call but a look into /proc once a second at most, and nothing that anybody decides
// by.
#pragma once

#include <cstdint>

#include "board/board.h"
#include "libtask/wire/description.h"
#include "sql/job.h"

namespace postpone::subworker {

class Reporter {
 public:
  // REQUIRES: the slot is ours.
  Reporter(const board::Header& header, board::Slot& slot) : header_(header), telemetry_(slot.telemetry) {}

  // A task process was started; it has these tasks (said once it was greeted).
  void task_started(pid_t pid);
  void task_ended();
  void task_has(const libtask::wire::Description& description);
  // Reads memory and CPU time of the task process, when that was long ago. `idle`: unless nothing can have
  // changed.
  void weigh_task(int jobs_served, bool idle);

  // How long a job could have been run before it was fetched.
  void fetched(const sql::Job& job);
  void job_started(const sql::Job& job, std::chrono::milliseconds time_limit);
  void progressed(const sql::Job& job, std::uint64_t done, std::uint64_t total);
  void job_ended(const sql::Job& job, const sql::Outcome& outcome);

  // A ring was answered by who was idle since `idle_since_ns`.
  void woken(std::int64_t rung_ns, std::int64_t idle_since_ns);

 private:
  void news(board::News news, const sql::Job& job) const;

  const board::Header& header_;
  board::Telemetry& telemetry_;
  board::TaskFacts task_;
};

}  // namespace postpone::subworker

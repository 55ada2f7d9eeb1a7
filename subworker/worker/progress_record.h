// How far the job that runs is, on its way into the database: not within the first second, so that a short job costs nothing, then
// once a second at most, and only what is new. What is not told when the job ends goes with its outcome. Pure.
#pragma once

#include <chrono>
#include <optional>

#include "sql/job.h"
#include "sys/retry.h"

namespace postpone::subworker {

struct ToldProgress {
  sql::JobId job_id = 0;
  int attempt = 0;
  sql::Progress progress;
};

class ProgressRecord {
 public:
  using Clock = std::chrono::steady_clock;

  void begins(const sql::Job& job, Clock::time_point now);
  void is_told(const sql::Progress& progress);
  void ends() { untold_.reset(); }

  // What is to be stored now, if anything is. Whoever takes it has to say what became of it:
  std::optional<ToldProgress> take_due(Clock::time_point now);
  void stored(Clock::time_point now);
  // The database could not be asked: it is tried again, unless more was told meanwhile. `chance` spreads the next try, see
  // sys::Pause.
  void failed(ToldProgress taken, Clock::time_point now, double chance);

 private:
  sql::JobId job_id_ = 0;
  int attempt_ = 0;
  Clock::time_point next_;
  std::optional<ToldProgress> untold_;
  sys::Pause pause_{{std::chrono::seconds(1), std::chrono::seconds(10)}};
};

}  // namespace postpone::subworker

// What a dead sub-worker's grave says of the jobs that it held. Pure.
#pragma once

#include <vector>

#include "board/board.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

struct Remains {
  sql::OutcomeTexts outcomes;
  std::vector<sql::JobId> ended;    // those of the outcomes, in their order
  std::vector<sql::JobId> running;  // and those that have ended with an outcome that did not fit on the board

  std::vector<sql::JobId> all() const;
};

// A job that was held and not started is in none of the lists: the rescue puts it back.
Remains remains_in(const board::Grave& grave);

}  // namespace postpone::subworker

// The jobs of a torture run: which tasks, locks and priorities, as a pure function of the seed.
#pragma once

#include <optional>
#include <string>

#include "tests/torture/schedule.h"

namespace postpone::torture {

struct JobPlan {
  std::string task = {};
  std::string args = "{}";
  std::string lock = {};  // empty = none
  int priority = 0;
  Milliseconds delay{0};
};

// Most are short and go well; each way of going badly is there, rarely enough that the queue still moves.
JobPlan next_job(Random& random);

}  // namespace postpone::torture

// Which concurrency limits hold in a family, by what its task executables say. A task has one limit, whichever group runs
// its jobs: the smallest that any of them declares. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "libtask/wire/description.h"

namespace postpone::subworker {

class TaskLimits {
 public:
  // What the executable of this group says.
  void add(const std::string& group, const libtask::wire::Description& description);

  // By task: how many of its jobs may run at a time. Tasks without a limit are left out.
  std::map<std::string, int> in_force() const;
  // Where groups do not agree: a line for each such task, for people.
  std::vector<std::string> differences() const;

 private:
  // By task: each group that has it, and the limit there; 0 = none.
  std::map<std::string, std::vector<std::pair<std::string, int>>> tasks_;
};

}  // namespace postpone::subworker

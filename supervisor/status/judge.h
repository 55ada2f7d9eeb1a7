// How the family stands, in one word and the reasons for it. Pure.
//
//   starting   the preflight runs, or a member has not been ready for the first time yet
//   running    all is as it should be
//   paused     by SIGTSTP: nothing more is fetched
//   degraded   it works, or tries to, and something is wrong: the reasons say what
//   draining   on its way out
#pragma once

#include <string>
#include <vector>

#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

struct Judgement {
  State state = State::starting;
  std::vector<std::string> reasons;  // a line each
  // Would a job that is deferred now be run? Empty = yes, else why not.
  std::string not_ready;
};

Judgement judge(const Snapshot& snapshot);

}  // namespace postpone::supervisor::status

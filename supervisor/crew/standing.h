// How complete the crew is. The one judgement of "ready" and "degraded": the log, the service manager and the
// status socket all go by it.
#pragma once

#include <string>

#include "config/config.h"
#include "supervisor/crew/roster.h"
#include "supervisor/crew/slots.h"

namespace postpone::supervisor {

struct Standing {
  MemberId wanted = 0;   // members that there are to be
  MemberId failing = 0;  // of these, members that died again and again before they were ready
  bool housekeeper_serves = false;
  // A group of the configuration without a sub-worker that is ready and takes further jobs. As long as there
  // is one, that group's jobs are not run, however many other sub-workers there are. Empty = none.
  std::string unserved;
};

Standing judge_standing(const config::Config& config, const Roster& roster, const Slots& slots);

// "2 of 5 processes do not get ready; …". REQUIRES: some are failing.
std::string failing_words(const Standing& standing);

}  // namespace postpone::supervisor

// How complete the crew is: do its members get ready, and is every group served? The log, the process title,
// the service manager and the status socket all go by it. (status/judge.h adds what else an operator should
// know, the database above all.)
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

  // All that a family is for is there. The service manager hears of it once, at the first time.
  bool is_complete() const { return housekeeper_serves && unserved.empty(); }
};

Standing judge_standing(const config::Config& config, const Roster& roster, const Slots& slots);

// "2 of 5 processes do not get ready; …". REQUIRES: some are failing.
std::string failing_words(const Standing& standing);

}  // namespace postpone::supervisor

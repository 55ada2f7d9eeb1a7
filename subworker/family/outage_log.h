// The lines of the log about a connection that was lost: sql/outage.h decides which of them are worth one.
// One object for each connection that a member keeps.
#pragma once

#include <string>

#include "sql/outage.h"

namespace postpone::subworker {

class OutageLog {
 public:
  // An attempt has failed, for this reason: a warning, if that is news.
  void failed(const std::string& reason);
  // The database answers: a line, if it did not before.
  void ended();

 private:
  sql::Outage outage_;
};

}  // namespace postpone::subworker

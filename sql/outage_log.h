// The lines of the log about a connection that was lost: outage.h decides which of them are worth one. One
// object for each connection that is kept open.
#pragma once

#include <string>

#include "sql/outage.h"

namespace postpone::sql {

class OutageLog {
 public:
  // `connection`: which of the connections it is, in the words that begin each line; empty for the one that a
  // process has for its work.
  explicit OutageLog(std::string connection = "");

  // An attempt has failed, for this reason: a warning, if that is news.
  void failed(const std::string& reason);
  // The database answers: a line, if it did not before.
  void ended();

 private:
  const std::string connection_;
  Outage outage_;
};

}  // namespace postpone::sql

// What a program logs of an outage, so that one of an hour fills no disk: its beginning, each reason once, a
// line now and then while it lasts, and its end. Each connection that is kept open has an object of its own.
// Pure: time is an argument.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace postpone::sql {

class Outage {
 public:
  using Clock = std::chrono::steady_clock;

  // The connection was lost, or an attempt has failed: the line for the log, empty when nothing is new.
  std::string failed(const std::string& reason, Clock::time_point now);
  // The database answers: the line for the log, empty when there was no outage.
  std::string ended(Clock::time_point now);

 private:
  bool is_new(const std::string& reason);

  int failures_ = 0;  // 0 = no outage
  Clock::time_point began_;
  Clock::time_point next_word_;
  Clock::duration silence_{};      // until the word after that
  std::vector<std::string> said_;  // reasons; so many at most that those which never repeat become silent too
};

}  // namespace postpone::sql

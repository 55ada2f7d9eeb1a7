// Leases and jobs that could not be settled: when each may be tried again, and how often the database has
// refused it. One that cannot be settled does not delay the others. Pure: time and chance are arguments.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sql/error.h"
#include "sys/retry.h"

namespace postpone::subworker {

class Cares {
 public:
  using Clock = sys::Pause::Clock;
  using Id = std::int64_t;  // of a lease, or of a job

  bool may_try(Id id, Clock::time_point now) const;
  void settled(Id id) { cares_.erase(id); }

  struct Failure {
    bool is_news;     // worth a line: the reason is another one than the last time
    bool is_refused;  // what is to be settled is at fault. Else the server is, and has kept us waiting.
  };
  Failure failed(Id id, const sql::DatabaseError& error, Clock::time_point now, double chance);

  // How often what is to be settled was at fault, and the database's last words.
  int refusals(Id id) const;
  std::string said(Id id) const;

  // Forgets those that are not to be settled any more.
  void keep_only(const std::function<bool(Id)>& is_wanted);
  // When the first of them may be tried again; the greatest time when there are none.
  Clock::time_point next() const;

 private:
  struct Care {
    sys::Pause pause;
    std::string said = {};
    int refusals = 0;
  };

  std::map<Id, Care> cares_;
};

}  // namespace postpone::subworker

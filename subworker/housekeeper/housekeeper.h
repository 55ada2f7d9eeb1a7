// The housekeeper keeps time for a supervisor and its sub-workers, so that the supervisor needs no SQL and
// the sub-workers no clock:
//
//   heartbeats   of all their leases, in one statement
//   the dead     what dead sub-workers left on the board, and what silent workers of others held, is decided;
//                jobs that are left to people are told of (subworker/housekeeper/rescuer.h)
//   due jobs     rings sub-workers at the moment when a scheduled job becomes due
//   periodic     defers the jobs of periodic tasks at their ticks
//   stops        asks which of the jobs that run have to stop, when a notification hints at one, and now and
//   then
//
// One connection of its own, one thread. Each duty is level-triggered: it looks what is to be done and does
// it; a duty that failed is done at the next round. Errors of the database cost time, never the process.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "board/family.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "sql/outage.h"
#include "subworker/family/leash.h"
#include "subworker/family/log_follower.h"
#include "subworker/housekeeper/periodic.h"
#include "subworker/housekeeper/reporter.h"
#include "subworker/housekeeper/rescuer.h"
#include "sys/backoff.h"
#include "sys/retry.h"

namespace postpone::subworker {

class Housekeeper {
 public:
  Housekeeper(const config::Config& config, const board::Board& board, Leash leash);

  // Keeps house until told to leave and no grave is open, or until it is replaced.
  board::SubWorkerExit run();

 private:
  using Clock = std::chrono::steady_clock;

  // One of the things that it does again and again. One that fails is tried again after waits of its own,
  // which grow, and keeps none of the others from being done.
  struct Duty {
    const char* name;
    void (Housekeeper::*keep)();                    // does what is due; throws DatabaseError
    Clock::time_point (Housekeeper::*due)() const;  // when it is to be called next, at the latest
    sys::Pause pause;
    std::string said = {};  // what was last said of its failure
  };

  std::vector<Duty> duties();
  void do_duty(Duty& duty);
  void learn_schedules();
  libtask::wire::Description ask(const config::Group& group);
  void tell_of_schedules(const std::string& passing);
  void connect();
  void round();
  void note_end_of_outage();
  void keep_heartbeats();
  void note_heartbeats(const sql::Heartbeats& heartbeats, std::int64_t begun_ns);
  void report_lost(board::Slot& slot, std::uint32_t index, sql::WorkerId lease) const;
  void report_locked(const std::vector<sql::WorkerId>& leases);
  void disown_silent();
  void settle_graves();
  void watch_stalled();
  void look_for_due(std::chrono::seconds back);
  void watch_due_jobs();
  void wake_everybody();
  void wake_for(const std::vector<std::string>& queues);
  void defer_periodic();
  void answer_bell();
  void look_for_stops();
  void stop_jobs();
  void look_at_queues();
  std::vector<sql::WorkerId> leases() const;
  Clock::time_point heartbeats_due() const { return next_heartbeat_; }
  Clock::time_point graves_due() const { return rescuer_.next_settling(); }
  Clock::time_point watch_due() const { return rescuer_.next_watch(); }
  Clock::time_point due_jobs_due() const;
  Clock::time_point tick_due() const;
  Clock::time_point stop_look_due() const { return next_stop_look_; }
  Clock::time_point look_at_queues_due() const { return reporter_.next_look(); }
  Clock::duration until_next_round() const;
  void wait(Clock::duration limit);
  void tick();
  bool replaced() const;
  bool told_to_leave();
  bool may_leave();
  sql::SystemTime server_now() const;
  void show(const std::string& activity) const;

  const config::Config& config_;
  const board::Board& board_;
  const Leash leash_;
  board::Header& header_;
  LogFollower log_follower_;
  HousekeeperReporter reporter_;
  Rescuer rescuer_;

  std::optional<sql::JobManager> manager_;
  sys::Backoff backoff_;  // between connections
  sys::Backoff refused_;  // by the server, until a person mends that
  sql::Outage outage_;
  std::vector<Duty> duties_;
  Periodic periodic_;
  std::deque<sql::PeriodicDefer> ticks_;  // taken from periodic_, not yet in the database
  sql::SystemTime server_time_;           // the server's clock …
  Clock::time_point server_time_at_;      // … at this moment, that of the last connect
  std::vector<std::size_t> unasked_;      // groups whose schedules are not known yet
  Clock::time_point next_asking_;
  sys::Backoff asking_pause_;
  std::string wrong_schedules_;  // of an executable that answered, and cannot mend itself
  std::string asking_trouble_;   // why some schedules do not tick, as the log has it
  Clock::time_point next_heartbeat_;
  sys::Backoff locked_backoff_;                     // until the next heartbeat, while a lease's row is locked
  std::map<sql::WorkerId, int> missed_heartbeats_;  // in a row, of leases whose rows are locked
  sys::Backoff stop_pause_;
  Clock::time_point stops_looked_at_;
  Clock::time_point next_stop_look_;
  std::optional<sql::NextDue> next_due_;  // the next scheduled job, to be woken for at next_due_at_
  Clock::time_point next_due_at_;
  std::optional<sql::SystemTime> due_seen_;  // up to here jobs were woken for; nothing = not connected yet
  std::optional<std::chrono::seconds> look_back_;  // ask for due jobs, from so long before due_seen_ on
  bool ready_ = false;
  std::optional<Clock::time_point> leaving_since_;
};

}  // namespace postpone::subworker

// The housekeeper keeps time for a supervisor and its sub-workers, so that the supervisor needs no SQL and
// the sub-workers no clock. Its duties (housekeeper/duties.h walks them), in the order in which they are
// done:
//
//   heartbeats      of all leases of the family, in one statement            heartbeats.h
//   jobs to stop    which of the jobs that run have to stop                  stops.h
//   graves          what dead sub-workers left on the board is decided       rescuer.h
//   stalled jobs    jobs of workers that have fallen silent, and jobs that
//                   are left to people                                       rescuer.h
//   scheduled jobs  sub-workers are rung when one becomes due                due_jobs.h
//   the server's    is asked for each minute: the schedules tick by it       server_clock.h
//   clock
//   periodic tasks  jobs are deferred at the ticks of their schedules        schedules.h
//   queue depths    what waits, for people to see                            reporter.h
//   retention       jobs that ended long ago are removed                     retention.h
//
// Heartbeats come first: every sub-worker depends on them, and the other duties may have to wait for a lock.
//
//   start:    connect ─▶ the supervisor learns that this process is ready ─▶ the first round
//   work:     answer the bell ─▶ a round of duties ─▶ wait at the doorbell until the next one is due
//   outage:   connect again, with growing waits; errors of the database cost time, never the process
//   leave:    last of the family: not before every lease has ended and every grave is settled, unless the
//             grace is over; at once when it is replaced, since the next housekeeper finds all that is undone
//
// One connection of its own, one thread. A death costs nothing: what is undone stands on the board and in the
// database, and every duty looks there.
#pragma once

#include <chrono>

#include "board/board.h"
#include "board/family.h"
#include "config/config.h"
#include "libtask/wire/description.h"
#include "subworker/family/leash.h"
#include "subworker/family/leaving.h"
#include "subworker/family/log_follower.h"
#include "subworker/housekeeper/connection.h"
#include "subworker/housekeeper/due_jobs.h"
#include "subworker/housekeeper/duties.h"
#include "subworker/housekeeper/heartbeats.h"
#include "subworker/housekeeper/reporter.h"
#include "subworker/housekeeper/rescuer.h"
#include "subworker/housekeeper/schedules.h"
#include "subworker/housekeeper/server_clock.h"
#include "subworker/housekeeper/stops.h"

namespace postpone::subworker {

class Housekeeper {
 public:
  Housekeeper(const config::Config& config, const board::Board& board, Leash leash, std::string families);

  // Keeps house until it may leave.
  board::SubWorkerExit run();

 private:
  using Clock = std::chrono::steady_clock;

  sql::ConnectOptions connect_options();
  void add_duties();
  void connect();
  void ask_server_time();
  void answer_bell();
  void round();
  void learn_schedules();
  libtask::wire::Description ask(const config::Group& group);
  Clock::duration until_next_round() const;
  void wait(Clock::duration limit);
  void tick();
  bool ends();
  static void show(const char* activity);

  const config::Config& config_;
  const board::Board& board_;
  const Leash leash_;
  Leaving leaving_;
  LogFollower log_follower_;
  HousekeeperReporter reporter_;
  HousekeeperConnection connection_;
  ServerClock server_clock_;
  Heartbeats heartbeats_;
  Stops stops_;
  Rescuer rescuer_;
  DueJobs due_jobs_;
  Schedules schedules_;
  Duties duties_;
  bool ready_ = false;
};

}  // namespace postpone::subworker

// Rescues jobs whose worker has died or fallen silent, as [stalled] of the configuration says: a part of the
// housekeeper.
//
//   graves    what dead sub-workers of this supervisor left on the board: outcomes are recorded, jobs that
//             were not begun wait again, the running one is decided
//   silence   workers of other supervisors that no longer send heartbeats: all that they held is decided
//   stalled   jobs that are left to people, and jobs of foreign workers (Python's): told of once, or decided
//
// Everything it knows by itself is whom it has told of, and since when it has seen a job without a worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "sql/job_manager.h"
#include "subworker/housekeeper/reporter.h"
#include "sys/retry.h"

namespace postpone::subworker {

class Rescuer {
 public:
  using Clock = std::chrono::steady_clock;

  // All must outlive it.
  Rescuer(const config::Config& config, const board::Board& board, HousekeeperReporter& reporter);

  // After an outage everybody looks silent, so nobody is judged before the connection, and our own heartbeats
  // over it, have been good for as long as the others are given.
  void connected(Clock::time_point now) { good_since_ = heartbeat_at_ = now; }
  void heartbeat_stored(Clock::time_point now);

  // Throws DatabaseError, like the next; what was not done is done at the next call. A lease or a job that
  // cannot be settled is told of, and tried again after waits of its own: it keeps the others from nothing.
  void settle_graves(sql::JobManager& manager, Clock::time_point now);
  // When to call it again for a grave that could not be settled; the greatest time when there is none.
  Clock::time_point next_settling() const;
  // Looks at the workers of others and at foreign jobs when that is due.
  void watch_stalled(sql::JobManager& manager, Clock::time_point now);
  Clock::time_point next_watch() const { return next_watch_; }

 private:
  // A job that waits for people, or for us to lose patience.
  struct Sighting {
    Clock::time_point since;
    bool told = false;
  };
  using Attempt = std::pair<sql::JobId, int>;  // by the number of attempts before it
  // A heartbeat in the database, and since when it is the last one, by our clock: the server's may be set.
  struct Heard {
    std::int64_t at_us;
    Clock::time_point since;
  };

  // The care for one lease or job that could not be settled.
  struct Care {
    sys::Pause pause;
    std::string said = {};  // why not
    int refusals = 0;       // how often because of what is to be settled, and not of the server
  };
  using Cares = std::map<std::int64_t, Care>;

  // Does `settle` for the one of this id, unless its pause is not over. Throws DatabaseError of the
  // connection only. `held_up`: the server has kept us waiting. Whoever gets that does no more in this round:
  // heartbeats come first.
  enum class Settled { yes, no, held_up };
  Settled try_one(Cares& cares, std::int64_t id, const std::string& what, Clock::time_point now,
                  const std::function<void()>& settle) const;
  // May one who has been seen silent since then be judged? Not by somebody who could not be heard himself.
  bool may_judge(Clock::time_point since, Clock::time_point now) const;
  Clock::duration longest_own_silence() const;
  void settle(sql::JobManager& manager, const board::Grave& grave, int refusals);
  void settle_apart(sql::JobManager& manager, sql::RescueRequest rescue,
                    const std::vector<sql::JobId>& ended);
  void listen(sql::JobManager& manager, Clock::time_point now);
  void rescue_silent(sql::JobManager& manager, Clock::time_point now);
  void look_at_jobs(sql::JobManager& manager, Clock::time_point now);
  bool is_ripe(const sql::StalledJob& job, const Sighting& sighting, Clock::time_point now) const;
  void decide(sql::JobManager& manager, const sql::StalledJob& job) const;
  void decide_all(sql::JobManager& manager, const std::vector<sql::StalledJob>& jobs, Clock::time_point now);
  void report(sql::JobManager& manager, const sql::RescueRequest& rescue,
              const std::vector<sql::Recorded>& recorded, const std::vector<sql::JobId>& known);

  const config::Config& config_;
  const board::Board& board_;
  HousekeeperReporter& reporter_;
  Clock::time_point good_since_;
  Clock::time_point heartbeat_at_;  // when our own was last stored
  Clock::time_point next_watch_;
  std::map<Attempt, Sighting> sightings_;
  std::map<sql::WorkerId, Heard> heard_;
  Cares graves_;              // by lease
  bool more_graves_ = false;  // behind one that held us up
  Cares silent_;              // by lease
  Cares foreign_;             // by job
};

}  // namespace postpone::subworker

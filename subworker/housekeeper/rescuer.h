// Rescues jobs whose worker has died or fallen silent, as [stalled] of the configuration says: two duties of
// the housekeeper.
//
//   graves    what dead sub-workers of this supervisor left on the board: outcomes are recorded, jobs that
//             were not begun wait again, the running one is decided
//   silence   workers of other supervisors that no longer send heartbeats: all that they held is decided
//   stalled   jobs that are left to people, and jobs of foreign workers (Python's): reported once, or decided
//
// A rescue is one transaction that ends the lease. Only then is the grave marked as settled: a death in
// between costs a second rescue, which finds no lease. So nothing depends on what this object knows by
// itself: which jobs it has reported, since when it has seen a job without a worker, and when it is to try
// again what failed.
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
#include "subworker/housekeeper/cares.h"
#include "subworker/housekeeper/reporter.h"
#include "subworker/housekeeper/silence.h"

namespace postpone::subworker {

class Rescuer {
 public:
  using Clock = std::chrono::steady_clock;

  // All must outlive it. `families`: the directory in which families of this host keep the cgroups of their
  // task processes; empty = none. `between`: called between two statements; what it throws is passed on.
  Rescuer(const config::Config& config, const board::Board& board, HousekeeperReporter& reporter,
          std::string families, std::function<void()> between);

  // See Silence.
  void connected(Clock::time_point now) { silence_.connected(now); }
  void heartbeat_stored(Clock::time_point now) { silence_.heartbeat_stored(now); }

  // Throws DatabaseError, like watch_stalled(); what was not done is done at the next call. A lease or a job
  // that cannot be settled gets a line, and is tried again after waits of its own. One that cannot be settled
  // does not delay the others.
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
    bool reported = false;
  };
  using Attempt = std::pair<sql::JobId, int>;  // by the number of attempts before it

  // Calls `settle` for the one of this id, unless its pause is not over. Throws DatabaseError of the
  // connection only. `held_up`: the server has kept us waiting, and no more is tried in this round:
  // heartbeats come first.
  enum class Settled { yes, no, held_up };
  Settled try_one(Cares& cares, std::int64_t id, const std::string& what, Clock::time_point now,
                  const std::function<void()>& settle) const;
  void settle(sql::JobManager& manager, const board::Grave& grave);
  void flush(sql::JobManager& manager);
  void ring_siblings(const board::Grave& grave, const std::vector<sql::Recorded>& recorded) const;
  void settle_apart(sql::JobManager& manager, sql::RescueRequest rescue,
                    const std::vector<sql::JobId>& ended);
  void rescue_silent(sql::JobManager& manager, Clock::time_point now);
  bool end_dead_families() const;
  void look_at_jobs(sql::JobManager& manager, Clock::time_point now);
  bool is_ripe(const sql::StalledJob& job, const Sighting& sighting, Clock::time_point now) const;
  void decide(sql::JobManager& manager, const sql::StalledJob& job) const;
  void decide_all(sql::JobManager& manager, const std::vector<sql::StalledJob>& jobs, Clock::time_point now);
  void report(sql::JobManager& manager, const sql::RescueRequest& rescue,
              const std::vector<sql::Recorded>& recorded, const std::vector<sql::JobId>& known);

  const config::Config& config_;
  const board::Board& board_;
  HousekeeperReporter& reporter_;
  const std::string families_;
  const std::function<void()> between_;
  Silence silence_;
  Clock::time_point next_watch_;
  std::map<Attempt, Sighting> sightings_;
  Cares graves_;              // by lease
  bool more_graves_ = false;  // behind one that held us up
  bool can_flush_ = true;     // see flush()
  Cares silent_;              // by lease
  Cares foreign_;             // by job
};

}  // namespace postpone::subworker

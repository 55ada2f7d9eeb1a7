// When members are started and killed. The roster is passive: its owner reports what happened and what time
// it is, and the roster answers what is to be done; it starts nothing, signals nothing and knows no clock. It
// decides when to spawn; spawn.cc knows how.
//
//   absent ──spawned──▶ starting ──ready──▶ serving
//     ▲                    │ ended             │ ended
//     │                    ▼ back-off          ▼ at once
//     └────────────── (buried) ◀───────────────┘
//   starting for longer than the deadline (without having said `started`), or silent on the board
//   for too long: to be killed, then `ended` follows
//   after unwant(): not spawned again until want()
//
// A member that dies before it was ready means a bad build or a bad host: it is started again with growing
// waits, so that there is no respawn storm. One that had served is replaced at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/crew/member.h"
#include "sys/backoff.h"

namespace postpone::supervisor {

struct RosterPolicy {
  std::chrono::milliseconds start_deadline{30'000};
  std::chrono::milliseconds silence_limit{30'000};
  std::chrono::milliseconds housekeeper_silence_limit{5'000};
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_most{30'000};
};

class Roster {
 public:
  enum class State { absent, starting, serving };

  // The last of the members is the housekeeper, all others are sub-workers.
  Roster(MemberId members, const RosterPolicy& policy, Clock::time_point now);

  MemberId size() const { return static_cast<MemberId>(records_.size()); }
  State state(MemberId member) const { return records_[member].state; }
  // The lease that the living incarnation last spoke of; 0 = none.
  std::int64_t lease(MemberId member) const { return records_[member].lease; }
  // How many there are to be: all that are wanted.
  MemberId wanted() const;
  // Members that have died again and again before they were ready.
  MemberId failing() const;
  // How often in a row this one has; and when it is started again, while it is absent and wanted.
  int failures(MemberId member) const { return records_[member].backoff.failures(); }
  std::optional<Clock::time_point> spawn_at(MemberId member) const;

  // Members that should live and do not, and whose wait is over.
  std::vector<MemberId> to_spawn(Clock::time_point now) const;
  // Members that take too long to get ready, or were silent too long. `last_beat(member)` is when that member
  // last showed that it lives.
  struct Overdue {
    MemberId member;
    std::string why;
  };
  template <typename LastBeat>
  std::vector<Overdue> to_kill(Clock::time_point now, LastBeat last_beat) const;

  void spawned(MemberId member, Clock::time_point now);
  // It was sent SIGKILL; its end is only a matter of time.
  void killed(MemberId member) { records_[member].killed = true; }
  // This process itself was not running for a while (frozen, suspended): no silence before `now` counts.
  void thawed(Clock::time_point now) { judge_from_ = now; }
  // The spawn failed, or the member has ended and is buried. `chance` lies in [0, 1). `forgiven`: that is no
  // failure even if it was not ready yet, and the next one follows at once (a reload has to do with it).
  // `refused`: the database has refused it for a reason that stays until a person mends it, so that the next
  // one waits for some seconds even if this one had served.
  enum class End { failed, forgiven, refused };
  void ended(MemberId member, Clock::time_point now, double chance, End end = End::failed);
  // REQUIRES: it has ended. It is not spawned before `until`.
  void hold_back(MemberId member, Clock::time_point until);
  // From here on only the database can keep it from getting ready, and is given all the time that it takes.
  void started(MemberId member) { records_[member].started = true; }
  void ready(MemberId member);
  void leased(MemberId member, std::int64_t lease) { records_[member].lease = lease; }

  // From now on it is not spawned.
  void unwant(MemberId member) { unwanted_[member] = true; }

  // Wants a member again, with a clean record. REQUIRES: it is absent.
  void want(MemberId member, Clock::time_point now);

  // For members that are spawned, or die, from now on: the living are judged by what they were started with.
  void set_policy(const RosterPolicy& policy);

  // When the next member is to be spawned or may be overdue.
  std::optional<Clock::time_point> next_deadline() const;

 private:
  struct Record {
    State state = State::absent;
    std::int64_t lease = 0;
    // By what it is judged, as the policy was when it was spawned.
    std::chrono::milliseconds start_deadline{};
    std::chrono::milliseconds silence_limit{};
    Clock::time_point since;  // started, or (absent) when to spawn
    sys::Backoff backoff;
    bool killed = false;
    bool started = false;
  };
  std::optional<std::string> overdue(MemberId member, Clock::time_point now,
                                     Clock::time_point last_beat) const;

  bool is_housekeeper(MemberId member) const { return member + 1 == size(); }

  RosterPolicy policy_;
  Clock::time_point judge_from_;
  std::vector<Record> records_;
  std::vector<bool> unwanted_;
};

template <typename LastBeat>
std::vector<Roster::Overdue> Roster::to_kill(Clock::time_point now, LastBeat last_beat) const {
  std::vector<Overdue> members;
  for (MemberId m = 0; m < size(); ++m) {
    if (records_[m].state == State::absent || records_[m].killed) continue;
    if (auto why = overdue(m, now, last_beat(m))) members.push_back({m, *why});
  }
  return members;
}

}  // namespace postpone::supervisor

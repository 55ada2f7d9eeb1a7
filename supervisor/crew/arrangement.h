// Which slots serve which group, and which sub-workers are replaced. Pure; the crew carries it out.
//
// Running jobs are never touched. A sub-worker that is no longer wanted, or that is to be replaced by one
// with a new configuration, finishes the job it has, however long that takes, and leaves.
//
//   arrange()       how many sub-workers each group is to have: which slots to dismiss, which to engage
//   to_replace()    which outdated sub-worker of each group leaves next. They leave one at a time, so that
//                   the others serve on, and none leaves before the successor of the one before it serves: a
//                   group that cannot start with the new configuration loses one sub-worker and not all.
//                   The next one need not wait for a leaving one that has a job to finish, if a sub-worker of
//                   the group serves with the new configuration, or if that job takes longer than kLongJob: a
//                   job of hours does not keep a whole group from being replaced
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "board/board.h"
#include "config/config.h"

namespace postpone::supervisor {

// Which members were started with something that has changed since.
struct Outdated {
  bool everybody = false;  // each sub-worker
  bool housekeeper = false;
  std::set<std::string> groups = {};  // by name: their sub-workers
};

// A slot as arrange() sees it.
struct SlotUse {
  board::GroupId group = board::kNoGroup;  // that it serves
  bool vacant = true;                      // no process lives there or is still to be buried
  bool busy = false;                       // a job runs there
};

struct Arrangement {
  std::vector<std::uint32_t> dismissed;                        // slots
  std::vector<std::pair<std::uint32_t, std::size_t>> engaged;  // slot, and the index of its group
  int waiting = 0;  // sub-workers for which there is no slot before others have left
};

// A slot of a group that is gone is dismissed. Of a group that shrinks, sub-workers without a job go first. A
// slot that serves no group is given away only when it is vacant.
Arrangement arrange(std::span<const config::Group> groups, std::span<const SlotUse> slots);

// A sub-worker that serves a group, as to_replace() sees it.
struct Candidate {
  std::uint32_t slot = 0;
  board::GroupId group = board::kNoGroup;
  bool outdated = false;  // it was started with a configuration that has changed since
  bool leaving = false;   // it was commanded to leave …
  std::chrono::steady_clock::time_point leaving_since = {};  // … then
  bool serving = false;
  bool busy = false;
};

// The slots of those that are to be commanded to leave now.
std::vector<std::uint32_t> to_replace(std::span<const Candidate> candidates,
                                      std::chrono::steady_clock::time_point now);

// So long the others of a group wait for a leaving one that has a job.
inline constexpr std::chrono::seconds kLongJob{60};

}  // namespace postpone::supervisor

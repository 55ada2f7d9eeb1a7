// A sub-worker is killed: how soon its job starts again in another one.
#pragma once

#include <string>
#include <vector>

namespace postpone::bench {

// Milliseconds, one of each for every kill. `noticed`, `rescued` and `fetched` are the parts of `whole`:
// docs/benchmarks.md.
struct RescueTimes {
  std::vector<double> noticed, rescued, fetched, whole;
};

// So many times: SIGKILL to the one of 8 sub-workers that runs the only job there is. `sections`: more of the
// configuration.
RescueTimes rescue_times(int kills, const std::string& sections);

}  // namespace postpone::bench

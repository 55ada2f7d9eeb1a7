// How the contenders of one workload take turns.
#include <algorithm>
#include <cstddef>
#include <exception>
#include <string>
#include <vector>

#include "bench/compare/compare.h"

namespace postpone::bench {
namespace {

constexpr int kFewestJobs = 20;  // with fewer, chance says what a median is

Load share_of(Load load, double share) {
  if (load.jobs > 0) load.jobs = std::max(kFewestJobs, static_cast<int>(load.jobs * share));
  return load;
}

// Whether the contender is still in the field.
bool take_turn(Contender& contender, const Load& load, Line& line, Result& result) {
  try {
    line.rounds.push_back(contender.measure(load));
    return true;
  } catch (const Absent& absent) {
    result.absent.push_back({line.contender, absent.what()});
  } catch (const std::exception& error) {
    const std::string text = error.what();
    result.absent.push_back({line.contender, "it failed: " + text.substr(0, text.find('\n'))});
    result.has_failure = true;
  }
  return false;
}

}  // namespace

Result measured(const Workload& workload, int rounds, double scale) {
  Result result = {workload.name, workload.title, workload.measures, workload.bases};
  const Contenders contenders = workload.contenders();
  std::vector<Line> lines;
  std::vector<std::size_t> turns;
  for (const auto& contender : contenders) {
    turns.push_back(lines.size());
    lines.push_back({contender->about().name, contender->about().settings, contender->about().kind});
  }
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::size_t> remaining;
    for (const std::size_t turn : turns) {
      const double share = scale * contenders[turn]->about().pace;
      if (take_turn(*contenders[turn], share_of(workload.load, share), lines[turn], result))
        remaining.push_back(turn);
    }
    turns.assign(remaining.rbegin(), remaining.rend());
  }
  for (const Line& line : lines)
    if (!line.rounds.empty()) result.lines.push_back(line);
  return result;
}

}  // namespace postpone::bench

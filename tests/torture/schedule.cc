#include "tests/torture/schedule.h"

#include <array>
#include <string>

namespace postpone::torture {
namespace {

using namespace std::chrono_literals;

// How often in comparison with the others, and how long it lasts. Stops are shorter and longer than all the
// limits after which somebody loses patience (torture/field.cc): the short ones have to cost nothing, the
// long ones a life.
struct DeedKind {
  Deed deed;
  const char* name;
  unsigned weight;
  Milliseconds shortest{0};
  Milliseconds longest{0};
};

constexpr std::array<DeedKind, kDeeds> kDeedKinds = {{
    {Deed::kill_sub_worker, "kill_sub_worker", 30},
    {Deed::kill_task, "kill_task", 20},
    {Deed::kill_housekeeper, "kill_housekeeper", 6},
    {Deed::kill_supervisor, "kill_supervisor", 3, 0ms, 1000ms},
    {Deed::kill_family, "kill_family", 2, 0ms, 3000ms},
    {Deed::stop_sub_worker, "stop_sub_worker", 8, 20ms, 3000ms},
    {Deed::stop_task, "stop_task", 8, 20ms, 3000ms},
    {Deed::stop_housekeeper, "stop_housekeeper", 3, 20ms, 3000ms},
    {Deed::stop_supervisor, "stop_supervisor", 3, 20ms, 4000ms},
    {Deed::stop_family, "stop_family", 4, 100ms, 5000ms},
    {Deed::pause_family, "pause_family", 2, 100ms, 1500ms},
    {Deed::drain_family, "drain_family", 2},
    {Deed::terminate_backends, "terminate_backends", 10},
    {Deed::restart_server_fast, "restart_server_fast", 1, 0ms, 1500ms},
    {Deed::restart_server_immediate, "restart_server_immediate", 1, 0ms, 1500ms},
    {Deed::cancel_jobs, "cancel_jobs", 4},
    {Deed::abort_jobs, "abort_jobs", 6},
    {Deed::delete_lease, "delete_lease", 3},
}};
constexpr auto kLongestPause = 240ms;  // between two deeds; about eight a second

Milliseconds between(Random& random, Milliseconds shortest, Milliseconds longest) {
  return shortest + Milliseconds(below(random, static_cast<std::uint64_t>((longest - shortest).count()) + 1));
}

}  // namespace

std::uint64_t below(Random& random, std::uint64_t limit) {
  return random() % limit;
}

const char* to_string(Deed deed) {
  for (const DeedKind& kind : kDeedKinds)
    if (kind.deed == deed) return kind.name;
  return "unknown";
}

std::vector<Step> schedule(std::uint64_t seed, Milliseconds length, int families) {
  Random random(seed);
  std::vector<Step> steps;
  for (auto at = between(random, 1ms, kLongestPause); at < length;
       at += between(random, 1ms, kLongestPause)) {
    const DeedKind& kind = weighted(kDeedKinds, random);
    const auto family = static_cast<int>(below(random, static_cast<std::uint64_t>(families)));
    const auto lasts = between(random, kind.shortest, kind.longest);
    steps.push_back({at, kind.deed, family, lasts, random()});
  }
  return steps;
}

}  // namespace postpone::torture

#include "tests/torture/load.h"

#include <array>

namespace postpone::torture {
namespace {

constexpr std::uint64_t kLocks = 6;

std::string number_argument(const char* name, std::uint64_t value) {
  return std::string("{\"") + name + "\": " + std::to_string(value) + "}";
}

std::string lock_name(Random& random) {
  return "lock" + std::to_string(below(random, kLocks));
}

std::string follower_arguments(Random& random) {
  const std::string lock = below(random, 2) == 0 ? "" : lock_name(random);
  return "{\"followers\": " + std::to_string(1 + below(random, 3)) + ", \"lock\": \"" + lock + "\"}";
}

struct TaskKind {
  const char* task;
  unsigned weight;
  std::string (*args)(Random& random);
};

std::string none(Random&) {
  return "{}";
}

constexpr std::array kTaskKinds = {
    TaskKind{"torture.sleep", 40, [](Random& random) { return number_argument("ms", below(random, 10)); }},
    TaskKind{"torture.sleep", 25,
             [](Random& random) { return number_argument("ms", 5 + below(random, 195)); }},
    TaskKind{"torture.busy", 4, [](Random& random) { return number_argument("ms", below(random, 40)); }},
    TaskKind{"torture.defers", 6, follower_arguments},
    TaskKind{"torture.flaky", 8,
             [](Random& random) { return number_argument("failures", 1 + below(random, 3)); }},
    TaskKind{"torture.hopeless", 3, none},
    TaskKind{"torture.segfault", 2, none},
    TaskKind{"torture.abort", 2, none},
    TaskKind{"torture.exit", 2, none},
    TaskKind{"torture.deaf", 1, none},
    TaskKind{"torture.hang", 1, none},
    TaskKind{"torture.flood", 1, none},
    TaskKind{"torture.daemon", 5,
             [](Random& random) {
               return std::string("{\"crashes\": ") + (below(random, 3) == 0 ? "true}" : "false}");
             }},
};

}  // namespace

JobPlan next_job(Random& random) {
  const TaskKind& kind = weighted(kTaskKinds, random);
  JobPlan plan;
  plan.task = kind.task;
  plan.args = kind.args(random);
  if (below(random, 3) != 0) plan.lock = lock_name(random);
  plan.priority = static_cast<int>(below(random, 3)) - 1;
  if (below(random, 10) == 0) plan.delay = Milliseconds(below(random, 1500));
  return plan;
}

}  // namespace postpone::torture

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

struct Kind {
  const char* task;
  unsigned weight;
  std::string (*args)(Random& random);
};

std::string none(Random&) {
  return "{}";
}

constexpr std::array kKinds = {
    Kind{"torture.sleep", 40, [](Random& random) { return number_argument("ms", below(random, 10)); }},
    Kind{"torture.sleep", 25, [](Random& random) { return number_argument("ms", 5 + below(random, 195)); }},
    Kind{"torture.busy", 4, [](Random& random) { return number_argument("ms", below(random, 40)); }},
    Kind{"torture.defers", 6, follower_arguments},
    Kind{"torture.flaky", 8,
         [](Random& random) { return number_argument("failures", 1 + below(random, 3)); }},
    Kind{"torture.hopeless", 3, none},
    Kind{"torture.segfault", 2, none},
    Kind{"torture.abort", 2, none},
    Kind{"torture.exit", 2, none},
    Kind{"torture.deaf", 1, none},
    Kind{"torture.hang", 1, none},
    Kind{"torture.flood", 1, none},
    Kind{"torture.daemon", 5,
         [](Random& random) {
           return std::string("{\"crashes\": ") + (below(random, 3) == 0 ? "true}" : "false}");
         }},
};

}  // namespace

JobPlan next_job(Random& random) {
  const Kind& kind = weighted(kKinds, random);
  JobPlan plan;
  plan.task = kind.task;
  plan.args = kind.args(random);
  if (below(random, 3) != 0) plan.lock = lock_name(random);
  plan.priority = static_cast<int>(below(random, 3)) - 1;
  if (below(random, 10) == 0) plan.delay = Milliseconds(below(random, 1500));
  return plan;
}

}  // namespace postpone::torture

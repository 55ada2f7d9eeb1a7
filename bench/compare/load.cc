#include "bench/compare/load.h"

#include <nlohmann/json.hpp>

namespace postpone::bench {
namespace {

const char* name_of(Load::Asked asked) {
  switch (asked) {
    case Load::Asked::backlog:
      return "backlog";
    case Load::Asked::arrivals:
      return "arrivals";
    case Load::Asked::defers:
      return "defers";
    case Load::Asked::batch:
      return "batch";
    case Load::Asked::rest:
      return "rest";
  }
  return "";
}

}  // namespace

double Load::ideal_jobs_per_s() const {
  double mean_ms = ms;
  if (long_every > 0) mean_ms += static_cast<double>(long_ms - ms) / long_every;
  return concurrency * 1000 / mean_ms;
}

nlohmann::json json_of(const Load& load) {
  return {{"kind", name_of(load.asked)},     {"jobs", load.jobs},
          {"concurrency", load.concurrency}, {"ms", load.ms},
          {"long_every", load.long_every},   {"long_ms", load.long_ms},
          {"own_locks", load.own_locks},     {"seconds", load.seconds}};
}

}  // namespace postpone::bench

#include "bench/compare/contender.h"

namespace postpone::bench {

Figures figures_of_times(const std::vector<double>& milliseconds) {
  if (milliseconds.empty()) throw std::runtime_error("nothing was measured");
  return {{"p50_ms", quantile(milliseconds, 0.5)},
          {"p90_ms", quantile(milliseconds, 0.9)},
          {"p99_ms", quantile(milliseconds, 0.99)},
          {"max_ms", quantile(milliseconds, 1)}};
}

}  // namespace postpone::bench

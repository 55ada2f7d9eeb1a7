#include "bench/statistics.h"

#include <algorithm>
#include <cstddef>

namespace postpone::bench {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double quantile(std::vector<double> values, double share) {
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<long>(at), values.end());
  return values[at];
}

Spread spread_of(const std::vector<double>& values) {
  const auto [lowest, highest] = std::ranges::minmax(values);
  return {lowest, median(values), highest};
}

}  // namespace postpone::bench

// What benchmarks say of many values.
#pragma once

#include <vector>

namespace postpone::bench {

// Of two middle ones, what lies between them; 0 for none.
double median(std::vector<double> values);

// The value below which so large a share of the others lies. REQUIRES: some values, share from 0 to 1.
double quantile(std::vector<double> values, double share);

struct Spread {
  double lowest = 0;
  double median = 0;
  double highest = 0;
};
// REQUIRES: some values.
Spread spread_of(const std::vector<double>& values);

}  // namespace postpone::bench

#include "sys/backoff.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace postpone::sys {

std::chrono::milliseconds Backoff::next(double chance) {
  const double nominal = std::min(std::ldexp(static_cast<double>(first_.count()), failures_),
                                  static_cast<double>(most_.count()));
  ++failures_;
  return std::chrono::milliseconds(std::llround(nominal / 2 + chance * nominal / 2));
}

double chance() {
  static std::mt19937_64 generator{std::random_device{}()};
  // Not std::generate_canonical: rounding lets it return 1 in the libraries of today.
  constexpr int kUnusedBits = 64 - 53;
  return static_cast<double>(generator() >> kUnusedBits) * 0x1p-53;
}

}  // namespace postpone::sys

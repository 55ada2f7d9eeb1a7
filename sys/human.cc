#include "sys/human.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

namespace postpone::sys {

// Each limit is where the number before it would be rounded up to the next unit.
std::string human_duration(std::chrono::duration<double> duration) {
  const double seconds = duration.count();
  if (std::isnan(seconds)) return "?";
  if (std::isinf(seconds)) return seconds > 0 ? "infinity" : "-infinity";
  // Thirty million years: no duration that anything took, so the number is wrong.
  if (std::abs(seconds) > 1e15) return "?";
  if (seconds < 0) return "-" + human_duration(-duration);
  if (seconds < 0.0995) return fmt::format("{:.1f} ms", seconds * 1000);
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const long long whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 48LL * 3600) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} d {:02} h", whole / 86400, whole % 86400 / 3600);
}

}  // namespace postpone::sys

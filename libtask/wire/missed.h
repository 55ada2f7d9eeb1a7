// What becomes of the ticks that passed while no supervisor kept time.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

namespace libtask::wire {

enum class Missed {
  skip,  // nothing
  last,  // the last one is made up for
  all,   // each is, oldest first
};

inline constexpr std::array<std::string_view, 3> kMissedNames = {"skip", "last", "all"};  // in that order

// Older ticks are gone, whatever else is said.
inline constexpr std::chrono::seconds kMissedWithin = std::chrono::hours(24);

constexpr std::string_view to_string(Missed missed) {
  return kMissedNames[static_cast<std::size_t>(missed)];
}
constexpr std::optional<Missed> parse_missed(std::string_view name) {
  for (std::size_t i = 0; i < kMissedNames.size(); ++i)
    if (kMissedNames[i] == name) return static_cast<Missed>(i);
  return std::nullopt;
}

}  // namespace libtask::wire

// The moment at which time begins for the unit tests that hand it on as an argument.
#pragma once

#include <chrono>

namespace postpone {

inline constexpr std::chrono::steady_clock::time_point kStart{std::chrono::hours(1)};

}  // namespace postpone

// How long the sub-worker sleeps while it waits for its task process.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace postpone::subworker {

inline constexpr std::chrono::milliseconds kPollTick{50};

// As poll() takes it: rounded up, and never without an end.
inline int to_poll_timeout(std::chrono::steady_clock::duration wait) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000));
}

}  // namespace postpone::subworker

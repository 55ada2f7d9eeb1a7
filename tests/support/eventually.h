// Waiting for what has to happen, without guessing how long it takes.
#pragma once

#include <chrono>
#include <thread>

namespace postpone::tests {

// Looks again and again until `condition()` holds, for at most `limit`: long enough that only what never
// happens fails.
template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(40)) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace postpone::tests

#include "subworker/worker/reconnecting.h"

#include <algorithm>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kShortest = 400ms;
constexpr auto kLongestWait = 4s;
constexpr auto kBetweenKnocks = 10ms;   // of the whole family
constexpr auto kBetweenConnects = 2ms;  // a new connection costs the server about as much
constexpr auto kLongestSpread = 400ms;

}  // namespace

std::chrono::milliseconds longest_reconnect_wait(std::uint32_t sub_workers) {
  return std::clamp<std::chrono::milliseconds>(sub_workers * kBetweenKnocks, kShortest, kLongestWait);
}

std::chrono::milliseconds wait_after_ring(std::uint32_t sub_workers, double chance) {
  const auto spread = std::min<std::chrono::milliseconds>(sub_workers * kBetweenConnects, kLongestSpread);
  return std::chrono::milliseconds(static_cast<std::int64_t>(chance * static_cast<double>(spread.count())));
}

}  // namespace postpone::subworker

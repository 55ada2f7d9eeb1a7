// Does a transaction again that the server has ended in favour of another one. Internal to sql/.
#pragma once

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "sql/error.h"
#include "sys/retry.h"

namespace postpone::sql {

// Calls `transact`, a whole transaction, and returns what it returns. When the transaction has lost a race (a
// deadlock, a serialization failure), calls it again, after growing waits of a few seconds in all; then
// throws what the last call has thrown. Any other error, also that of a lock timeout, is thrown at once. Only
// for commands of people: no heartbeat is sent during the waits.
template <class Transact>
auto again_after_conflict(Transact transact) -> decltype(transact()) {
  constexpr int kMostRounds = 10;
  sys::Backoff backoff{std::chrono::milliseconds(20), std::chrono::seconds(1)};
  std::optional<decltype(transact())> result;
  const auto step = [&] {
    try {
      result.emplace(transact());
      return sys::Tried::done;
    } catch (const DatabaseError& error) {
      const bool lost_a_race = error.remedy() == Remedy::retry && error.sqlstate() != "55P03";
      if (!lost_a_race || backoff.failures() + 1 >= kMostRounds) throw;
      return sys::Tried::again;
    }
  };
  sys::retry(backoff, step, [](std::chrono::milliseconds wait) {
    std::this_thread::sleep_for(wait);
    return true;
  });
  return std::move(*result);
}

}  // namespace postpone::sql

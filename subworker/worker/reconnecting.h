// How long a sub-worker waits between attempts to reach the database: short enough that the first job starts
// within a second of its return, long enough that a large family does not keep a server from getting up.
// Pure.
//
// A server that recovers from a crash pays a fork for each attempt that it turns away (57P03), so what counts
// is how often all of them knock together. The larger the family, the more rarely each sub-worker knocks. The
// first of them is early all the same, and the supervisor, whose LISTEN connection is back soon, rings the
// others.
#pragma once

#include <chrono>
#include <cstdint>

namespace postpone::subworker {

// The longest wait (see sys::Backoff) of each of so many sub-workers.
std::chrono::milliseconds longest_reconnect_wait(std::uint32_t sub_workers);

// How long a sub-worker that was rung while it waited still stays away, so that not all of them connect in
// one moment. `chance` lies in [0, 1).
std::chrono::milliseconds wait_after_ring(std::uint32_t sub_workers, double chance);

}  // namespace postpone::subworker

// A latch made of a word (the reasons) and a semaphore, and why it loses no ring.
//
//   ring():    puts its bits into the word in one step; the ringer that found the word zero posts one token
//   answer():  takes the tokens that are there, then exchanges the word for zero
//   wait():    true if the word is not zero; else takes a token (blocking) and looks again
//
// 1. A ring before the exchange of answer() is in what answer() returns, and the exchange reads what the ring
//    wrote: all that happened before the ring is visible to the look for work that follows.
// 2. A ring after that exchange finds the word zero, or finds it raised by another ring after the exchange.
//    The ringer that raised it posts. wait() either sees the word raised, or it looked before that, and then
//    the token is posted after that look; the waiter is the only one to take tokens, so it gets this one,
//    looks again and sees the word, which only the waiter itself makes zero.
// 3. A token may be left over: its ringer was slow between raising and posting, and answer() came in between.
//    wait() then goes round once more, sees zero and blocks again. There is at most one such token for each
//    answer(), and the next answer() takes it.
// 4. A ringer that is killed between raising and posting leaves the word raised without a token. A wait()
//    that had looked before sleeps on, and later rings find the word raised and post nothing: the limit of
//    that wait() ends this, and it finds the word raised.
//
// Waiting for the token is sem_clockwait(), not interprocess_semaphore::timed_wait(). The latter knows no
// clock but the wall clock: set back by an hour, it would keep every sub-worker asleep for that hour, their
// heartbeats would stop, and the supervisor would kill them all as hung. It also throws when a signal
// arrives.
#include <semaphore.h>

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <cerrno>
#include <new>
#include <type_traits>

#include "board/board.h"

namespace postpone::board {

namespace {

using Semaphore = boost::interprocess::interprocess_semaphore;

// At one time there is one token for each ringer that is slow between raising and posting, and one more.
constexpr int kMostTokens = 10'000;

// Boost's semaphore is a sem_t and nothing else, so that a pointer to one is a pointer to the other.
static_assert(sizeof(Semaphore) == sizeof(sem_t));
static_assert(std::is_standard_layout_v<Semaphore>);

Semaphore& semaphore_at(std::byte* memory) noexcept {
  return *std::launder(reinterpret_cast<Semaphore*>(memory));
}

timespec to_timespec(std::chrono::nanoseconds since_epoch) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((since_epoch - seconds).count())};
}

// Takes a token, waiting for it until `deadline`. False when the time is up or a signal arrived.
bool take_token(Semaphore& semaphore, std::chrono::nanoseconds deadline) noexcept {
  const timespec until = to_timespec(deadline);
  return ::sem_clockwait(reinterpret_cast<sem_t*>(&semaphore), CLOCK_MONOTONIC, &until) == 0;
}

// Clock::now() + limit, without running over for a limit that means "for ever".
std::chrono::nanoseconds deadline_after(std::chrono::nanoseconds limit) {
  const std::chrono::nanoseconds now(now_ns());
  return limit > std::chrono::nanoseconds::max() - now ? std::chrono::nanoseconds::max() : now + limit;
}

}  // namespace

void Doorbell::init() {
  static_assert(sizeof(Semaphore) <= sizeof(semaphore_) && alignof(Semaphore) <= 16);
  static_assert(decltype(rung_)::is_always_lock_free);
  new (semaphore_) Semaphore(0);
  rung_.store(0, std::memory_order_seq_cst);
}

void Doorbell::ring(std::uint32_t reasons) noexcept {
  if (!is_rung()) rung_ns_.store(now_ns(), std::memory_order_relaxed);
  if (rung_.fetch_or(reasons, std::memory_order_seq_cst) != 0) return;
  try {
    semaphore_at(semaphore_).post();
  } catch (const boost::interprocess::interprocess_exception&) {
    // Two thousand million tokens that were not taken: the waiter does not sleep.
  }
}

// More tokens than can be: a process has written over it. They would be taken one by one for minutes.
void Doorbell::start_afresh() noexcept {
  new (semaphore_) Semaphore(0);
}

std::uint32_t Doorbell::answer() noexcept {
  try {
    for (int tokens = 0; semaphore_at(semaphore_).try_wait(); ++tokens)
      if (tokens == kMostTokens) start_afresh();
  } catch (const boost::interprocess::interprocess_exception&) {
    // Interrupted: a token may be left over, which point 3 above allows.
  }
  return rung_.exchange(0, std::memory_order_seq_cst);
}

bool Doorbell::wait(std::chrono::nanoseconds limit) noexcept {
  const auto deadline = deadline_after(limit);
  for (int tokens = 0; !is_rung(); ++tokens) {
    if (!take_token(semaphore_at(semaphore_), deadline)) return is_rung();
    if (tokens == kMostTokens) start_afresh();
  }
  return true;
}

}  // namespace postpone::board

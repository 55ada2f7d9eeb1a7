#include "subworker/worker/group_fetches.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>

#include "board/wake.h"

namespace postpone::subworker {
namespace {

std::uint64_t number_of(const std::vector<std::string>& queues) {
  std::uint64_t number = queues.size();
  for (const std::string& queue : queues) number = number * 31 + std::hash<std::string>{}(queue);
  return number;
}

}  // namespace

GroupFetches::GroupFetches(const board::Board& board, board::Slot& slot,
                           const std::vector<std::string>& queues)
    : board_(board), slot_(slot), queues_(number_of(queues)) {}

void GroupFetches::begin(sql::FetchRequest& request, bool from_top, std::int64_t now_ns) {
  const std::vector<board::SlotView> slots = board::view(board_);
  const board::GroupId group = slot_.group.load();
  // A sibling that takes jobs of these tasks must not begin behind them.
  last_.queues =
      queues_ + 31 * (request.passed_over_tasks.empty() ? 0 : number_of(request.passed_over_tasks));
  const board::FetchAdvice advice =
      board::advise(board::last_fetches(board_, slots, group), last_.queues, now_ns);
  last_.began_ns = now_ns;
  share(request, advice, std::max(board::count_sharers(slots, group), 1));

  last_.last_job = advice.last_job;
  last_.last_priority = advice.last_priority;
  if (from_top || advice.from_top) {
    last_.from_top_ns = now_ns;
  } else {
    request.start = {advice.last_priority, advice.last_job};
    // Numbers follow each other. Where they do not, it will take some that lie further.
    const std::int64_t guess = std::min<std::int64_t>(request.max_jobs, last_taken_);
    last_.last_job = std::min(advice.last_job, std::numeric_limits<std::int64_t>::max() - guess) + guess;
  }
  tell(now_ns);
}

// A part of what is known to wait, as long as that is all that is wanted; else what waits is counted. While a sibling does
// that, what is known has to do.
void GroupFetches::share(sql::FetchRequest& request, const board::FetchAdvice& advice, int sharers) {
  const auto part = static_cast<int>(
      std::min<std::int64_t>(advice.waiting / (request.max_jobs == 1 ? 1 : sharers), request.max_jobs));
  last_.counted_ns = advice.counted_ns;
  last_.waiting = std::max<std::int64_t>(advice.waiting - request.max_jobs, 0);
  if (request.max_jobs == 1 || sharers == 1 || part == request.max_jobs) return;
  if (advice.is_being_counted && part > 0) {
    last_.waiting = advice.waiting - part;
    request.max_jobs = part;
  } else {
    last_.waiting = advice.waiting;
    request.sharers = sharers;
    last_.counting_ns = last_.began_ns;
  }
}

void GroupFetches::ended(const sql::FetchRequest& request, const sql::Fetched& fetched, std::int64_t now_ns) {
  const auto taken = static_cast<std::int64_t>(fetched.jobs.size());
  const std::int64_t group_was_at = last_.last_job;
  const int group_priority = last_.last_priority;
  last_taken_ = taken;
  last_.last_job = fetched.more && taken > 0 ? fetched.jobs.back().id : 0;
  last_.last_priority = last_.last_job != 0 ? fetched.jobs.back().priority : 0;
  last_.counting_ns = 0;
  if (fetched.waiting) {
    // Siblings look at the same time, and take as much.
    last_.counted_ns = now_ns;
    last_.waiting = std::max<std::int64_t>(*fetched.waiting - taken * request.sharers, 0);
  }
  // Where nothing was found behind the start, it has looked from the top after all.
  if (request.start && (fetched.from_top || taken == 0)) last_.from_top_ns = last_.began_ns;
  if (last_.from_top_ns == last_.began_ns) {
    last_.from_top_ended_ns = now_ns;
    const bool is_older = last_.last_priority == group_priority && last_.last_job < group_was_at;
    if (last_.last_job != 0 && is_older) last_.found_older_ns = now_ns;
  }
  tell(now_ns);
}

void GroupFetches::failed(std::int64_t now_ns) {
  last_taken_ = 0;
  last_.last_job = 0;
  last_.waiting = 0;
  last_.counting_ns = 0;
  if (last_.from_top_ns == last_.began_ns) last_.from_top_ended_ns = now_ns;
  tell(now_ns);
}

void GroupFetches::tell(std::int64_t now_ns) {
  last_.at_ns = now_ns;
  slot_.last_fetch.store(last_);
}

}  // namespace postpone::subworker

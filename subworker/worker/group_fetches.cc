#include "subworker/worker/group_fetches.h"

#include <algorithm>
#include <cstdint>

#include "board/wake.h"

namespace postpone::subworker {

void GroupFetches::begin(sql::FetchRequest& request, std::int64_t now_ns) {
  const board::GroupId group = slot_.group.load();
  began_ns_ = now_ns;
  const board::FetchAdvice advice = board::advise(board::last_fetches(board_, group), began_ns_, longest_);
  sharers_ = std::max(board::count_sharers(board::view(board_), group), 1);
  share(request, advice);

  last_.at_ns = began_ns_;
  if (advice.start) {
    request.start = {advice.start->priority, advice.start->job};
    // Numbers follow each other. Where they do not, it will take some that lie further.
    last_.last_priority = advice.start->priority;
    last_.last_job = advice.start->job + (request.sharers == 1 ? request.max_jobs : 0);
  } else {
    last_.from_top_ns = began_ns_;
  }
  slot_.last_fetch.store(last_);
}

// A share of what is known to wait, as long as that is no small part of what is wanted; else what waits is counted. While a
// sibling does that, what is known has to do.
void GroupFetches::share(sql::FetchRequest& request, const board::FetchAdvice& advice) {
  request.sharers = 1;
  const auto part = static_cast<int>(std::min<std::int64_t>(advice.waiting / sharers_, request.max_jobs));
  if (request.max_jobs == 1 || sharers_ == 1) return;
  if (part == request.max_jobs || (advice.is_counted && part > 0)) {
    request.max_jobs = part;
    last_.waiting_ns = began_ns_;
    last_.waiting = advice.waiting - part;
  } else {
    request.sharers = sharers_;
    last_.counting_ns = began_ns_;
  }
}

void GroupFetches::ended(const sql::FetchRequest& request, const sql::Fetched& fetched, std::int64_t now_ns) {
  last_.at_ns = now_ns;
  last_.last_job = fetched.more && !fetched.jobs.empty() ? fetched.jobs.back().id : 0;
  last_.last_priority = last_.last_job != 0 ? fetched.jobs.back().priority : 0;
  if (fetched.waiting) {
    // Siblings look at the same time, and take as much.
    const auto taken = static_cast<std::int64_t>(fetched.jobs.size()) * sharers_;
    last_.waiting_ns = last_.at_ns;
    last_.waiting = std::max<std::int64_t>(*fetched.waiting - taken, 0);
  }
  if (!request.start) {
    last_.from_top_ended_ns = last_.at_ns;
    last_.from_top_took_ns = last_.at_ns - began_ns_;
  }
  slot_.last_fetch.store(last_);
}

}  // namespace postpone::subworker

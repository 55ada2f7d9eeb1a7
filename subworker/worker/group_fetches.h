// What the sub-workers of a group tell each other of their fetches (board/last_fetch.h): where the next one begins, and
// how much of what waits it may take.
#pragma once

#include <chrono>
#include <cstdint>

#include "board/board.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

class GroupFetches {
 public:
  // By the owner of the slot. `board` must outlive it. `longest`: see board::advise().
  GroupFetches(const board::Board& board, board::Slot& slot, std::chrono::nanoseconds longest)
      : board_(board), slot_(slot), longest_(longest) {}

  // Fills in where this request begins, and how much of what waits it takes. Times are by board::now_ns(). REQUIRES: it asks
  // for a job.
  void begin(sql::FetchRequest& request, std::int64_t now_ns);
  // That request was answered so.
  void ended(const sql::FetchRequest& request, const sql::Fetched& fetched, std::int64_t now_ns);

 private:
  void share(sql::FetchRequest& request, const board::FetchAdvice& advice);

  const board::Board& board_;
  board::Slot& slot_;
  const std::chrono::nanoseconds longest_;
  board::LastFetch last_;  // as the siblings know it
  // Of the fetch that has begun.
  std::int64_t began_ns_ = 0;
  int sharers_ = 1;
};

}  // namespace postpone::subworker

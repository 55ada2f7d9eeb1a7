// What the sub-workers of a group tell each other of their fetches (board/last_fetch.h): where the next one begins, and
// how much of what waits it may take.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "board/board.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

// All times are by board::now_ns().
class GroupFetches {
 public:
  // By the owner of the slot. `board` must outlive it.
  GroupFetches(const board::Board& board, board::Slot& slot, const std::vector<std::string>& queues);

  // Fills in where this request begins, and how much of what waits it takes. from_top: it is to begin there. REQUIRES: it
  // asks for a job.
  void begin(sql::FetchRequest& request, bool from_top, std::int64_t now_ns);
  // That request was answered so.
  void ended(const sql::FetchRequest& request, const sql::Fetched& fetched, std::int64_t now_ns);
  // It was not answered.
  void failed(std::int64_t now_ns);

 private:
  void share(sql::FetchRequest& request, const board::FetchAdvice& advice, int sharers);
  void tell(std::int64_t now_ns);

  const board::Board& board_;
  board::Slot& slot_;
  const std::uint64_t queues_;   // as a number
  board::LastFetch last_;        // as the siblings know it
  std::int64_t last_taken_ = 0;  // how many the last fetch has got
};

}  // namespace postpone::subworker

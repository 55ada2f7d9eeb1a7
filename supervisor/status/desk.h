// The desk where questions about the family are answered: keeps the little history that neither board nor
// roster has, makes snapshots of all three, and serves them on the status socket.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/loop.h"
#include "supervisor/status/collect.h"
#include "supervisor/status/routes.h"
#include "supervisor/status/server.h"
#include "supervisor/status/socket_file.h"

namespace postpone::supervisor::status {

class Desk {
 public:
  // What the desk asks the supervisor for when it needs it.
  struct Source {
    // All but the members' history, which the desk keeps itself: of those, `failures` and `next_start_ns`.
    std::function<Known()> known;
    std::function<std::string(std::uint32_t member)> name_of;
  };

  // Opens the socket. Throws std::runtime_error when it cannot be had. Everything must outlive it.
  Desk(Loop& loop, const config::Config& config, const board::Board& board, std::uint32_t members,
       Source source);

  // What happens to members (the slots, then the housekeeper); others are ignored.
  void born(std::uint32_t member, std::int64_t pid);
  void ready(std::uint32_t member);
  void ended(std::uint32_t member, bool well, const std::string& how);

  // Now and then: takes what the board keeps only for a while.
  void look() { failures_.collect(board_, slots_); }

 private:
  struct Cached {
    std::string target;
    Response response;
    std::int64_t at_ns = 0;
  };

  View view();
  Response answer(std::string_view method, std::string_view target);
  void on_followers(bool any);
  void report_news();

  const config::Config& config_;
  const board::Board& board_;
  const std::uint32_t slots_;
  const Source source_;
  std::vector<Member> members_;
  Failures failures_;
  Cached cached_[2];  // the pages that cost something
  bool followed_ = false;
  std::vector<std::uint64_t> told_;  // by slot: how far its news were read
  std::string said_state_;           // to those who follow
  Timer news_timer_;
  SocketFile socket_;
  Server server_;
};

}  // namespace postpone::supervisor::status

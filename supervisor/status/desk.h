// The desk where questions about the family are answered: keeps the little history that neither board nor
// roster has, makes snapshots of all three, and serves them on the status socket.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/loop.h"
#include "supervisor/status/collect.h"
#include "supervisor/status/routes.h"
#include "supervisor/status/server.h"
#include "supervisor/status/socket_file.h"
#include "sys/backoff.h"

namespace postpone::supervisor::status {

class Desk {
 public:
  // Whom something happens to.
  struct Who {
    std::optional<std::uint32_t> slot;  // nothing = the housekeeper
    std::string name;                   // for people
  };

  // Opens the socket. Throws std::runtime_error when it cannot be had. Everything must outlive it. `config`
  // may change meanwhile, but for its [status]. `known` is asked whenever somebody asks.
  Desk(Loop& loop, const config::Config& config, const board::Board& board, std::function<Known()> known);

  void born(const Who& who, std::int64_t pid);
  void ready(const Who& who) { member(who).ready = member(who).was_ready = true; }
  void ended(const Who& who, bool well, const std::string& how);
  // The slot, where nobody lives, is about to serve another group than `group`: what was counted there stays
  // with that one, and the caller clears the counts on the board.
  void reassigned(std::uint32_t slot, const std::string& group);

  // Now and then: takes what the board keeps only for a while, and makes the socket again when it is gone.
  void tend(std::uint32_t slots);

 private:
  struct Cached {
    Response response;
    std::int64_t at_ns = 0;
  };

  void open();
  void look(std::uint32_t slots) { history_.failures.collect(board_, slots); }
  Member& member(const Who& who);
  View view(Detail detail);
  Response answer(std::string_view method, std::string_view target);
  void on_followers(bool any);
  void report_news();
  std::string state_now();

  const config::Config& config_;
  const board::Board& board_;
  const std::function<Known()> known_;
  History history_;
  std::map<std::string, Cached, std::less<>> cached_;  // by path, the pages that cost something
  bool followed_ = false;
  std::vector<std::uint64_t> told_;  // by slot: how far its news were read
  std::string said_state_;           // to those who follow
  Loop& loop_;
  Timer news_timer_;
  std::optional<SocketFile> socket_;
  std::optional<Server> server_;
  sys::Backoff opening_pause_{std::chrono::milliseconds(100), std::chrono::seconds(30)};
  board::Clock::time_point next_opening_;
  std::string trouble_;  // with the socket, as the log has it
};

}  // namespace postpone::supervisor::status

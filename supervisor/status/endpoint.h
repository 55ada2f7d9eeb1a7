// The status socket: where questions about the family are answered. It keeps the little history that neither
// the board nor the crew has, makes snapshots of all three, and serves them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "board/board.h"
#include "config/config.h"
#include "supervisor/crew/observer.h"
#include "supervisor/loop.h"
#include "supervisor/status/collect.h"
#include "supervisor/status/routes.h"
#include "supervisor/status/server.h"
#include "supervisor/status/socket_file.h"
#include "sys/backoff.h"

namespace postpone::supervisor::status {

class Endpoint final : public CrewObserver {
 public:
  // Opens the socket. Throws std::runtime_error when it cannot be had. All must outlive it. `config` may
  // change meanwhile, but for its [status]. `look` is called for each question that needs an answer.
  Endpoint(Loop& loop, const config::Config& config, const board::Board& board,
           std::function<SupervisorFacts()> look);

  void on_started(const MemberName& member, pid_t pid) override;
  void on_ready(const MemberName& member) override;
  void on_ended(const MemberName& member, bool well, const std::string& how) override;
  // What was counted in the slot stays with the group that it served.
  void on_reassigned(std::uint32_t slot, const std::string& former) override;

  // Now and then: takes what the board keeps only for a while, and makes the socket again when it is gone.
  void tend(std::uint32_t slots);

 private:
  struct Cached {
    Response response;
    std::int64_t at_ns = 0;
  };

  void open();
  Member& history_of(const MemberName& member);
  View view(Detail detail);
  Response answer(std::string_view method, std::string_view target);
  void on_followers(bool any);
  void report_news();
  std::string state_now();

  const config::Config& config_;
  const board::Board& board_;
  const std::function<SupervisorFacts()> look_;
  History history_;
  std::map<std::string, Cached, std::less<>> cached_;  // by path, the pages that cost something
  bool followed_ = false;
  std::vector<std::uint64_t> news_read_;  // by slot: how far its news were read
  std::string published_state_;           // to the clients that follow
  Loop& loop_;
  Timer news_timer_;
  std::optional<SocketFile> socket_;
  std::optional<Server> server_;
  sys::Backoff opening_pause_{std::chrono::milliseconds(100), std::chrono::seconds(30)};
  board::Clock::time_point next_opening_;
  std::string trouble_;  // with the socket, as the log has it
};

}  // namespace postpone::supervisor::status

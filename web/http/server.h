// Accepts clients on a listening socket: a bounded number of them, who wait for nobody else. Everything runs in the
// thread of the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "web/http/hosts.h"
#include "web/http/live.h"
#include "web/http/message.h"

namespace postpone::web {

class Server {
 public:
  struct Site {
    // Calls `done` once, in the thread of the loop.
    std::function<void(Request request, std::function<void(Response)> done)> answer;
    Live::Make make_page;
  };

  // `listening` stays the caller's. It listens until stop().
  Server(boost::asio::io_context& loop, int listening, bool is_unix, Hosts hosts, Site site);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts no more, ends what follows, and answers what was asked. `stopped` is called when all have their answers.
  void stop(std::function<void()> stopped);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace postpone::web

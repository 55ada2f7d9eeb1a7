// HTTP/1.1 over a Unix socket, in the supervisor's own event loop. Boost.Beast stays inside.
//
// Nobody out there can cost the supervisor more than a little memory and a little time:
//
//   connections            64; a new one drops the one that has waited longest for its request to come
//   request                8 KiB of header, no body, complete within 10 s; else 431, 413, 408, 400, and
//   closed answer                 must be taken within 10 s followers of events    16; one that falls 256 KiB
//   behind is dropped
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "supervisor/loop.h"
#include "supervisor/status/routes.h"

namespace postpone::supervisor::status {

class Server {
 public:
  using Answer = std::function<Response(std::string_view method, std::string_view target)>;

  // Serves from the loop's next round on. `listening`: a listening Unix socket; it is duplicated. `answer`
  // must not block; `on_followers` hears when the first follower has come (true) and the last has gone
  // (false). REQUIRES: the loop outlives it.
  Server(Loop& loop, int listening, Answer answer, std::function<void(bool)> on_followers);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Sends an event to all who follow.
  void publish(std::string event);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace postpone::supervisor::status

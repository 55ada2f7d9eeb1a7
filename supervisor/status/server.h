// HTTP/1.1 over a Unix socket, in the supervisor's own event loop. One client of it: connection.h.
//
// No client can cost the supervisor more than a little memory and a little time:
//
//   connections   64; a new one drops the one that has waited longest for a request, or is answered 503
//   request       8 KiB of header, no body, complete within 10 s; else 431, 413, 408 or 400, and closed
//   answer        must be taken within 10 s
//   followers     16 of events; one that does not take a batch within 10 s, or falls 4 MiB behind, is
//                 dropped; so is one that keeps talking
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

  struct Followers {
    std::function<void(bool any)> changed;     // the first one has come, or the last has gone
    std::function<std::string()> first_words;  // that each gets when it comes
  };

  // Serves from the loop's next round on. `listening`: a listening Unix socket; it is duplicated. `answer`
  // must not block. REQUIRES: the loop outlives it.
  Server(Loop& loop, int listening, Answer answer, Followers followers);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Sends events, one or more behind each other, to all clients that follow.
  void publish(std::string events);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace postpone::supervisor::status

// One client of the status socket: request, answer, request, … until either side has enough. Inside this
// directory only: Boost.Asio's types stand here, Boost.Beast's in connection.cc.
#pragma once

#include <utility>  // before Asio: Boost 1.74 forgets it

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "supervisor/status/routes.h"

namespace postpone::supervisor::status {

class Connection {
 public:
  // What a connection asks of the server.
  class Host {
   public:
    virtual Response answer(std::string_view method, std::string_view target) = 0;
    virtual bool follow() = 0;  // may one more client follow the events?
    virtual void unfollow() = 0;
    virtual std::string first_words() = 0;  // that a client gets which begins to follow
    virtual void forget(const Connection& connection) = 0;

   protected:
    ~Host() = default;
  };
  using Socket = boost::asio::local::stream_protocol::socket;

  // `host` must outlive every handler that runs; close() makes sure that none runs any more.
  static std::shared_ptr<Connection> make(Host& host, boost::asio::io_context& context, Socket socket);

  virtual ~Connection() = default;
  virtual void read_request() = 0;
  // Does the server wait for the client, and owes it nothing? Since when.
  virtual bool is_waiting() const = 0;
  virtual std::chrono::steady_clock::time_point waiting_since() const = 0;
  // Sends an event to a client that follows.
  virtual void send_event(const std::shared_ptr<const std::string>& event) = 0;
  virtual void close() = 0;
};

}  // namespace postpone::supervisor::status

// One client: request, answer, request, … until either side has enough. A client that is slow, or says too much, is
// refused or dropped; nothing that it does costs others more than one of a bounded number of places. Inside this
// directory only: Boost.Asio's types stand here, Boost.Beast's in connection.cc.
#pragma once

#include <utility>  // before Asio: Boost 1.74 forgets it

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "web/http/message.h"

namespace postpone::web {

class Connection {
 public:
  // What a connection asks of the server.
  class Host {
   public:
    virtual bool knows(std::string_view host_header) = 0;
    // Calls `done` once, at once or later, in the thread of the loop.
    virtual void answer(Request request, std::function<void(Response)> done) = 0;
    // May one more client follow the changes of that page? Then it gets them by send_event().
    virtual bool follow(const std::string& page, const std::shared_ptr<Connection>& connection) = 0;
    virtual void forget(const Connection& connection) = 0;

   protected:
    ~Host() = default;
  };
  using Socket = boost::asio::generic::stream_protocol::socket;

  // `host` must outlive every handler that runs; close() makes sure that none runs any more.
  static std::shared_ptr<Connection> make(Host& host, boost::asio::io_context& context, Socket socket);

  virtual ~Connection() = default;
  virtual void read_request() = 0;
  // Does the server wait for the client, and owes it nothing? Since when.
  virtual bool is_waiting() const = 0;
  virtual std::chrono::steady_clock::time_point waiting_since() const = 0;
  virtual bool is_following() const = 0;
  // Sends an event to a client that follows.
  virtual void send_event(const std::shared_ptr<const std::string>& event) = 0;
  virtual void close() = 0;
  // Answers what is being answered, and then closes.
  virtual void end_after_answer() = 0;
};

}  // namespace postpone::web

#include "supervisor/status/server.h"

#include <utility>  // before Asio: Boost 1.74 forgets it

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

#include "supervisor/asio.h"
#include "supervisor/status/connection.h"
#include "sys/backoff.h"
#include "sys/fd.h"

namespace postpone::supervisor::status {
namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
using Protocol = asio::local::stream_protocol;
using Error = boost::system::error_code;

constexpr std::size_t kMostConnections = 64;
constexpr std::size_t kMostFollowers = 16;
constexpr auto kAcceptPause = 100ms;
constexpr auto kLongestAcceptPause = 5s;
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 35\r\n"
    "Connection: close\r\n\r\n64 clients are being answered here\n";
static_assert(kFull.size() - kFull.find("64 clients") == 35);

}  // namespace

struct Server::Impl final : Connection::Host, std::enable_shared_from_this<Server::Impl> {
  Impl(asio::io_context& loop, int listening, Answer answer_with, Followers followers_handlers)
      : context(loop),
        acceptor(loop),
        pause(loop),
        answer_of(std::move(answer_with)),
        on_followers(std::move(followers_handlers)) {
    sys::Fd copy = sys::duplicate(listening);
    acceptor.assign(Protocol(), copy.get());  // throws, and then the copy is closed
    copy.release();
  }

  void accept();
  void admit(Protocol::socket socket);

  Response answer(std::string_view method, std::string_view target) override {
    return answer_of(method, target);
  }
  bool follow() override;
  void unfollow() override;
  std::string first_words() override { return on_followers.first_words(); }
  void forget(const Connection& connection) override;

  asio::io_context& context;
  Protocol::acceptor acceptor;
  asio::steady_timer pause;
  sys::Backoff accept_pause{kAcceptPause, kLongestAcceptPause};
  const Answer answer_of;
  const Followers on_followers;
  std::list<std::shared_ptr<Connection>> connections;  // the oldest first
  std::size_t followers = 0;
  bool closed = false;
};

// The copy that is accepted on shares its flags with the original.
void Server::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](const Error& error, Protocol::socket socket) {
    if (self->closed || error == asio::error::operation_aborted) return;
    if (!error) {
      self->accept_pause.reset();
      self->admit(std::move(socket));
      return self->accept();
    }
    // Out of descriptors, most likely: new clients wait.
    self->pause.expires_after(self->accept_pause.next(sys::chance()));
    self->pause.async_wait([self](const Error& stopped) {
      if (!stopped && !self->closed) self->accept();
    });
  });
}

void Server::Impl::admit(Protocol::socket socket) {
  if (connections.size() >= kMostConnections) {
    const auto longest =
        std::min_element(connections.begin(), connections.end(), [](const auto& a, const auto& b) {
          return std::pair(!a->is_waiting(), a->waiting_since()) <
                 std::pair(!b->is_waiting(), b->waiting_since());
        });
    if (!(*longest)->is_waiting()) {  // all are being answered
      Error ignored;
      socket.send(asio::buffer(kFull), 0, ignored);  // into the empty buffer of a new socket
      return;
    }
    std::shared_ptr<Connection>(*longest)->close();
  }
  connections.push_back(Connection::make(*this, context, std::move(socket)));
  connections.back()->read_request();
}

void Server::Impl::forget(const Connection& connection) {
  connections.remove_if([&](const auto& other) { return other.get() == &connection; });
}

bool Server::Impl::follow() {
  if (followers >= kMostFollowers) return false;
  if (++followers == 1) on_followers.changed(true);
  return true;
}

void Server::Impl::unfollow() {
  if (--followers == 0 && !closed) on_followers.changed(false);
}

Server::Server(Loop& loop, int listening, Answer answer, Followers followers)
    : impl_(std::make_shared<Impl>(io_context(loop), listening, std::move(answer), std::move(followers))) {
  impl_->accept();
}

// Handlers that are still due find their connection closed, and ask nothing of us.
Server::~Server() {
  impl_->closed = true;
  while (!impl_->connections.empty()) std::shared_ptr<Connection>(impl_->connections.front())->close();
  Error ignored;
  impl_->acceptor.close(ignored);
}

void Server::publish(std::string event) {
  const auto shared = std::make_shared<const std::string>(std::move(event));
  const auto connections = impl_->connections;  // a slow one leaves the list
  for (const auto& connection : connections) connection->send_event(shared);
}

}  // namespace postpone::supervisor::status

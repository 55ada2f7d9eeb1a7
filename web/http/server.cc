#include "web/http/server.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <optional>
#include <variant>

#include "sys/backoff.h"
#include "sys/fd.h"

namespace postpone::web {
namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
using Error = boost::system::error_code;
using TcpAcceptor = asio::ip::tcp::acceptor;
using UnixAcceptor = asio::local::stream_protocol::acceptor;

constexpr std::size_t kMostConnections = 256;
constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 36\r\n"
    "Connection: close\r\n\r\n256 clients are being answered here\n";
static_assert(kFull.size() - kFull.find("256 clients") == 36);

}  // namespace

struct Server::Impl final : Connection::Host, std::enable_shared_from_this<Server::Impl> {
  Impl(asio::io_context& loop, Hosts known, Site what)
      : context(loop),
        pause(loop),
        hosts(std::move(known)),
        site(std::move(what)),
        live(loop, site.make_page) {}

  void assign(int listening, bool is_unix);
  void accept();
  template <class Acceptor>
  void accept_from(Acceptor& from);
  void admit(Connection::Socket socket);
  bool make_room();

  bool knows(std::string_view host_header) override { return hosts.allow(host_header); }
  void answer(Request request, std::function<void(Response)> done) override {
    site.answer(std::move(request), std::move(done));
  }
  bool follow(const std::string& page, const std::shared_ptr<Connection>& connection) override {
    return !stopped && live.follow(page, connection);
  }
  void forget(const Connection& connection) override;

  asio::io_context& context;
  asio::steady_timer pause;
  std::variant<std::monostate, TcpAcceptor, UnixAcceptor> acceptor;
  const Hosts hosts;
  const Site site;
  Live live;
  sys::Backoff accept_pause{100ms, 5s};
  std::list<std::shared_ptr<Connection>> connections;  // the oldest first
  std::function<void()> stopped;                       // once it is set, nothing is accepted any more
};

// The copy that is accepted on shares its flags with the original.
void Server::Impl::assign(int listening, bool is_unix) {
  sys::Fd copy = sys::duplicate(listening);
  if (is_unix) {
    acceptor.emplace<UnixAcceptor>(context).assign(asio::local::stream_protocol(), copy.get());
  } else {
    // Asio asks the socket for the rest; v4 or v6 is the same to it here.
    acceptor.emplace<TcpAcceptor>(context).assign(asio::ip::tcp::v4(), copy.get());
  }
  copy.release();
}

void Server::Impl::accept() {
  if (auto* tcp = std::get_if<TcpAcceptor>(&acceptor)) accept_from(*tcp);
  if (auto* local = std::get_if<UnixAcceptor>(&acceptor)) accept_from(*local);
}

template <class Acceptor>
void Server::Impl::accept_from(Acceptor& from) {
  from.async_accept(
      [self = shared_from_this()](const Error& error, typename Acceptor::protocol_type::socket socket) {
        if (self->stopped || error == asio::error::operation_aborted) return;
        if (!error) {
          self->accept_pause.reset();
          self->admit(Connection::Socket(std::move(socket)));
          return self->accept();
        }
        // Out of descriptors, most likely: new clients wait.
        self->pause.expires_after(self->accept_pause.next(sys::chance()));
        self->pause.async_wait([self](const Error& cancelled) {
          if (!cancelled && !self->stopped) self->accept();
        });
      });
}

// Closes the client that has been silent for longest, and then those that follow; false when all are being answered.
bool Server::Impl::make_room() {
  const auto rank = [](const auto& one) {
    return std::tuple(!one->is_waiting(), !one->is_following(), one->waiting_since());
  };
  const auto longest = std::min_element(connections.begin(), connections.end(),
                                        [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (!(*longest)->is_waiting() && !(*longest)->is_following()) return false;
  std::shared_ptr<Connection>(*longest)->close();
  return true;
}

void Server::Impl::admit(Connection::Socket socket) {
  if (connections.size() >= kMostConnections && !make_room()) {
    Error ignored;
    socket.send(asio::buffer(kFull), 0, ignored);  // into the empty buffer of a new socket
    return;
  }
  connections.push_back(Connection::make(*this, context, std::move(socket)));
  connections.back()->read_request();
}

void Server::Impl::forget(const Connection& connection) {
  live.forget(connection);
  connections.remove_if([&](const auto& other) { return other.get() == &connection; });
  if (stopped && connections.empty()) stopped();
}

Server::Server(asio::io_context& loop, int listening, bool is_unix, Hosts hosts, Site site)
    : impl_(std::make_shared<Impl>(loop, std::move(hosts), std::move(site))) {
  impl_->assign(listening, is_unix);
  impl_->accept();
}

// Handlers that are still due find their connection closed, and ask nothing of us.
Server::~Server() {
  stop([] {});
  while (!impl_->connections.empty()) std::shared_ptr<Connection>(impl_->connections.front())->close();
}

void Server::stop(std::function<void()> stopped) {
  impl_->stopped = std::move(stopped);
  impl_->pause.cancel();
  Error ignored;
  if (auto* tcp = std::get_if<TcpAcceptor>(&impl_->acceptor)) tcp->close(ignored);
  if (auto* local = std::get_if<UnixAcceptor>(&impl_->acceptor)) local->close(ignored);
  const auto connections = impl_->connections;
  for (const auto& connection : connections) connection->end_after_answer();
  if (connections.empty()) impl_->stopped();
}

}  // namespace postpone::web

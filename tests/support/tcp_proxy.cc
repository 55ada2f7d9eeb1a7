#include "tests/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <list>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "sys/fd.h"

namespace postpone::tests {
namespace {

constexpr int kPollMs = 20;  // how soon the thread sees that it is to end

struct Passage {
  sys::Fd client;
  sys::Fd server;
  bool mute = false;  // no answers to the client
  bool deaf = false;  // no words to the server
};

sys::Fd listen_on_any_port() {
  sys::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0)
    sys::throw_errno("a proxy's port");
  return socket;
}

sys::Fd connect_to(const std::string& path) {
  sys::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return {};
  return socket;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written <= 0) return;  // whoever left is noticed by reading
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

struct TcpProxy::Impl {
  void run();
  void accept_one();
  // False when this side has closed the connection.
  bool pass_words(Passage& passage);
  bool pass_answers(Passage& passage);

  std::string path;
  sys::Fd listening;
  std::list<Passage> passages;  // of the thread alone
  std::list<Passage> ruins;     // those with a loss whose client has gone
  std::array<char, 65536> buffer{};

  std::atomic<bool> ends = false;
  std::atomic<bool> swallows = false;
  std::atomic<bool> swallowed_answer = false;
  std::mutex words_mutex;
  std::string words;  // empty = none are waited for

  std::thread thread;
};

void TcpProxy::Impl::accept_one() {
  Passage passage;
  passage.client.reset(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  passage.server = connect_to(path);
  if (passage.client && passage.server) passages.push_back(std::move(passage));
}

bool TcpProxy::Impl::pass_words(Passage& passage) {
  const ssize_t length = ::recv(passage.client.get(), buffer.data(), buffer.size(), 0);
  if (length <= 0) return false;
  const std::string_view said(buffer.data(), static_cast<std::size_t>(length));
  if (passage.deaf) return true;
  {
    const std::lock_guard lock(words_mutex);
    if (!words.empty() && said.find(words) != std::string_view::npos) {
      words.clear();
      passage.mute = true;
      swallowed_answer = true;
    }
  }
  write_all(passage.server.get(), said);
  return true;
}

bool TcpProxy::Impl::pass_answers(Passage& passage) {
  const ssize_t length = ::recv(passage.server.get(), buffer.data(), buffer.size(), 0);
  if (length <= 0) {
    passage.server.reset();
    return passage.mute;  // a client that is not answered does not hear of the end either
  }
  if (!passage.mute) write_all(passage.client.get(), {buffer.data(), static_cast<std::size_t>(length)});
  return true;
}

void TcpProxy::Impl::run() {
  while (!ends) {
    std::vector<pollfd> polled{{.fd = listening.get(), .events = POLLIN, .revents = 0}};
    for (const Passage& passage : passages) {
      polled.push_back({.fd = passage.client.get(), .events = POLLIN, .revents = 0});
      polled.push_back({.fd = passage.server.get(), .events = POLLIN, .revents = 0});
    }
    if (::poll(polled.data(), polled.size(), kPollMs) < 0) continue;
    std::size_t at = 1;
    for (auto passage = passages.begin(); passage != passages.end(); at += 2) {
      if (swallows) passage->mute = passage->deaf = true;
      const bool stays = (polled[at].revents == 0 || pass_words(*passage)) &&
                         (polled[at + 1].revents == 0 || pass_answers(*passage));
      const auto it = passage++;
      if (stays) continue;
      if (it->mute)
        ruins.splice(ruins.end(), passages, it);
      else
        passages.erase(it);
    }
    if (polled.front().revents != 0) accept_one();
  }
}

TcpProxy::TcpProxy(const std::string& directory, const std::string& port) : impl_(std::make_unique<Impl>()) {
  impl_->path = directory + "/.s.PGSQL." + port;
  impl_->listening = listen_on_any_port();
  impl_->thread = std::thread([this] { impl_->run(); });
}

TcpProxy::~TcpProxy() {
  impl_->ends = true;
  impl_->thread.join();
}

int TcpProxy::port() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(impl_->listening.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    sys::throw_errno("getsockname");
  return ntohs(address.sin_port);
}

void TcpProxy::swallow_everything() {
  impl_->swallows = true;
}

void TcpProxy::heal() {
  impl_->swallows = false;
}

void TcpProxy::swallow_answers_to(const std::string& words) {
  const std::lock_guard lock(impl_->words_mutex);
  impl_->words = words;
}

bool TcpProxy::has_swallowed_answer() const {
  return impl_->swallowed_answer;
}

}  // namespace postpone::tests

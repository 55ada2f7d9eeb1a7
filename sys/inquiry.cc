#include "sys/inquiry.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstring>

namespace postpone::sys {

namespace {

constexpr std::size_t kMaxAnswerBytes = 64UL * 1024;

struct Address {
  sockaddr_un name{};
  socklen_t size = 0;
};

// In the abstract namespace: nothing to unlink, and gone with the process that asks.
Address address_of(pid_t asker, std::int64_t subject) {
  const std::string name = "postpone-inquiry." + std::to_string(asker) + "." + std::to_string(subject);
  Address address;
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path + 1, name.data(), name.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

// A signal handler can reach nothing but globals. The subject is written last: a reader that finds one finds
// its asker, too.
std::atomic<pid_t> g_asker{0};
std::atomic<std::int64_t> g_subject{0};

void on_inquiry(int, siginfo_t* info, void*) {
  g_asker = info->si_pid;
  g_subject = static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(info->si_value.sival_ptr));
}

// Numbers of no user when it is not known; pid 0 is a process that we do not see, of another pid namespace.
ucred peer_of(int socket) {
  ucred peer{0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
  socklen_t size = sizeof peer;
  ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer;
}

bool may_hear(int socket) {
  const ucred peer = peer_of(socket);
  return peer.uid == 0 || peer.uid == ::geteuid();
}

bool wait_for(const Fd& fd, std::chrono::steady_clock::time_point until) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
  pollfd coming{fd.get(), POLLIN, 0};
  return ::poll(&coming, 1, static_cast<int>(std::max(left, milliseconds(0)).count())) > 0;
}

}  // namespace

Inquiry::Inquiry(std::int64_t subject)
    : subject_(subject), listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const Address address = address_of(::getpid(), subject);
  const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
  if (!listener_ || ::bind(listener_.get(), name, address.size) != 0 || ::listen(listener_.get(), 1) != 0)
    throw_errno("cannot listen for an answer");
}

bool Inquiry::ask(int pidfd) const {
  siginfo_t info{};
  info.si_signo = SIGUSR2;
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the only way to send 64 bits
  info.si_value.sival_ptr = reinterpret_cast<void*>(static_cast<std::intptr_t>(subject_));
  return ::syscall(SYS_pidfd_send_signal, pidfd, SIGUSR2, &info, 0) == 0;
}

std::optional<std::string> Inquiry::answer(pid_t process, std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (wait_for(listener_, until)) {
    const Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket || peer_of(socket.get()).pid != process) continue;
    if (!wait_for(socket, until)) return std::nullopt;
    std::string text(kMaxAnswerBytes, '\0');
    const ssize_t size = ::recv(socket.get(), text.data(), text.size(), 0);
    if (size <= 0) continue;
    text.resize(static_cast<std::size_t>(size));
    return text;
  }
  return std::nullopt;
}

void accept_inquiries() {
  struct sigaction action {};
  action.sa_sigaction = on_inquiry;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGUSR2, &action, nullptr);
}

std::optional<Question> take_question() {
  if (g_subject.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::int64_t subject = g_subject.exchange(0);
  return Question{subject, g_asker.load()};
}

void answer(const Question& question, std::string_view text) {
  const Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const Address address = address_of(question.asker, question.subject);
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) != 0)
    return;
  if (!may_hear(socket.get())) return;
  ::send(socket.get(), text.data(), std::min(text.size(), kMaxAnswerBytes), MSG_NOSIGNAL);
}

}  // namespace postpone::sys

#include "subworker/family/leash.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace postpone::subworker {

void Leash::say(board::LeashWord word, std::int64_t lease) const {
  if (!fd_) return;
  const board::LeashMessage message{word, generation_, lease};
  ::send(fd_.get(), &message, sizeof message, MSG_NOSIGNAL);
}

void Leash::say_why(std::string_view reason) const {
  send(board::PreflightWord::reason, std::string(reason));
}

bool Leash::say_limit(std::string_view task, std::uint32_t limit) const {
  return send(board::PreflightWord::limit, std::to_string(limit) + ' ' + std::string(task));
}

bool Leash::send(board::PreflightWord word, std::string text) const {
  if (!fd_) return true;
  text.insert(text.begin(), static_cast<char>(word));
  text.resize(std::min(text.size(), board::kMostPreflightBytes));
  return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

bool Leash::supervisor_gone() const {
  if (!fd_) return false;
  pollfd fd{fd_.get(), POLLRDHUP, 0};
  return ::poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace postpone::subworker

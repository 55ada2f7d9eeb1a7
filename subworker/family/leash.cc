#include "subworker/family/leash.h"

#include <poll.h>
#include <sys/socket.h>

namespace postpone::subworker {

void Leash::say(board::LeashWord word, std::int64_t lease) const {
  if (!fd_) return;
  const board::LeashMessage message{word, generation_, lease};
  ::send(fd_.get(), &message, sizeof message, MSG_NOSIGNAL);
}

void Leash::say_why(std::string_view reason) const {
  const std::string_view said = reason.substr(0, board::kMostReasonBytes);
  if (fd_) ::send(fd_.get(), said.data(), said.size(), MSG_NOSIGNAL);
}

bool Leash::supervisor_gone() const {
  if (!fd_) return false;
  pollfd fd{fd_.get(), POLLRDHUP, 0};
  return ::poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace postpone::subworker

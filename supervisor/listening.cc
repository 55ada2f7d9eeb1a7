#include "supervisor/listening.h"

#include <system_error>
#include <utility>

#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::supervisor {

Listening::Listening(Loop& loop, sql::ListenOptions options, Handlers handlers)
    : loop_(loop), listener_(std::move(options)), handlers_(std::move(handlers)), timer_(loop) {
  advance();
}

void Listening::advance() {
  const auto now = Clock::now();
  if (listener_.state() != sql::Listener::State::listening) handlers_.on_connecting();
  const auto notifications = listener_.advance(now);
  if (std::exchange(facts_.state, listener_.state()) != facts_.state) facts_.since = now;
  if (!notifications.empty()) facts_.last_notification = now;
  const bool established = listener_.take_established();
  log_changes(established);
  if (established) handlers_.on_established();
  for (const sql::Notification& notification : notifications) handlers_.on_notification(notification);
  arm();
}

Listening::Facts Listening::facts() const {
  Facts facts = facts_;
  facts.reconnects = listener_.reconnects();
  facts.notifications = listener_.heard();
  facts.last_probe = listener_.probed_at();
  return facts;
}

// Waits anew for what the listener wants next. The watch is a new one each time: libpq may have closed
// its socket and opened another with the same number.
void Listening::arm() {
  socket_.reset();
  timer_.set(listener_.deadline(), [this] { advance(); });
  if (listener_.socket() < 0) return;
  try {
    socket_.emplace(loop_, listener_.socket());
    if (listener_.wants().read) socket_->when_readable([this] { advance(); });
    if (listener_.wants().write) socket_->when_writable([this] { advance(); });
    watch_pause_.reset();
  } catch (const std::system_error& error) {  // out of descriptors: the timer tries again
    sys::log_of(sys::Component::database).error("LISTEN connection: {}", error.what());
    timer_.set(sql::Listener::Clock::now() + watch_pause_.next(sys::chance()), [this] { advance(); });
  }
}

void Listening::log_changes(bool established) {
  const auto failure = listener_.take_failure();
  if (failure) {
    facts_.failed_at = Clock::now();
    facts_.failure = *failure;
    outage_.failed(*failure);
  }
  if (established) outage_.ended();
}

}  // namespace postpone::supervisor

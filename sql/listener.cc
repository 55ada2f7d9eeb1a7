//   waiting ──due──▶ connecting ──connected──▶ subscribing ──LISTEN confirmed──▶ listening
//      ▲                  └─────────────any DatabaseError─┴─────────────────────────┘
//      └──────────────────────────────────────────────────┘
// subscribing counts as connecting to the outside.
#include "sql/listener.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "sql/connecting.h"
#include "sql/connection.h"
#include "sql/error.h"
#include "sys/backoff.h"

namespace postpone::sql {
namespace {

// Any role that may connect can send notifications, in any number. So advance() takes a bounded number at
// a time.
constexpr int kMaxWordsAtOnce = 1000;
constexpr std::size_t kMaxNotificationsAtOnce = 64;  // after folding

// A channel to which only this process sends: its name is random.
std::string private_channel() {
  std::random_device random;
  const auto number = (static_cast<std::uint64_t>(random()) << 32U) | random();
  return "postpone_probe_" + std::to_string(getpid()) + "_" + std::to_string(number);
}

std::string quoted(pg_conn* connection, const std::string& identifier) {
  const std::unique_ptr<char, decltype(&PQfreemem)> text(
      PQescapeIdentifier(connection, identifier.data(), identifier.size()), &PQfreemem);
  if (!text) throw DatabaseError(Remedy::bug, "cannot listen: " + one_line(PQerrorMessage(connection)));
  return text.get();
}

// A connected session: one command at a time, and what comes in meanwhile. Its functions throw DatabaseError
// when the connection is lost or a command failed.
class Session {
 public:
  explicit Session(ConnectionHandle connection)
      : connection_(std::move(connection)), read_only_at_first_(is_read_only()) {}

  // REQUIRES: !is_busy().
  void send(const std::string& command);
  bool is_busy() const { return busy_; }

  // Moves bytes in both directions, as many as go without waiting.
  void exchange();

  struct Word {
    std::string channel;
    std::string payload;
  };
  std::optional<Word> next_word();

  // Whether the server is read-only now, and was not when we connected. It reports a change of that together
  // with its answer to a command.
  bool has_stepped_down() const { return !read_only_at_first_ && is_read_only(); }

  pg_conn* handle() const { return connection_.get(); }
  bool wants_write() const { return unsent_; }

 private:
  void flush();
  bool is_read_only() const;

  ConnectionHandle connection_;
  bool read_only_at_first_;
  bool busy_ = false;    // a command was sent and is not answered
  bool unsent_ = false;  // libpq holds output that the socket did not take
};

void Session::flush() {
  const int left = PQflush(handle());
  if (left < 0) throw_lost(handle());
  unsent_ = left > 0;
}

void Session::send(const std::string& command) {
  if (PQsendQuery(handle(), command.c_str()) == 0) throw_lost(handle());
  busy_ = true;
  flush();
}

void Session::exchange() {
  flush();
  if (PQconsumeInput(handle()) == 0) throw_lost(handle());
  while (busy_ && PQisBusy(handle()) == 0) {
    const ResultHandle result(PQgetResult(handle()));
    if (!result) {
      busy_ = false;
    } else if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
      throw_server_error(error_of(result.get()));
    }
  }
}

bool Session::is_read_only() const {
  const char* value = PQparameterStatus(handle(), "default_transaction_read_only");
  return value != nullptr && std::string_view(value) == "on";
}

std::optional<Session::Word> Session::next_word() {
  const std::unique_ptr<PGnotify, decltype(&PQfreemem)> notify(PQnotifies(handle()), &PQfreemem);
  if (!notify) return std::nullopt;
  return Word{notify->relname, notify->extra};
}

}  // namespace

struct Listener::Impl {
  explicit Impl(ListenOptions listen_options)
      : options(std::move(listen_options)),
        probe_channel(private_channel()),
        backoff(options.backoff_first, options.backoff_most) {}

  bool step(Clock::time_point now, std::vector<Notification>& notifications);
  void subscribe(ConnectionHandle connection, Clock::time_point now);
  void become_listening(Clock::time_point now);
  void take_words(Clock::time_point now, std::vector<Notification>& notifications);
  void probe(Clock::time_point now);
  void fail(const DatabaseError& error, Clock::time_point now);

  enum class Phase { waiting, connecting, subscribing, listening };

  const ListenOptions options;
  const std::string probe_channel;
  sys::Backoff backoff;
  sys::Backoff refused{std::chrono::milliseconds(500), std::chrono::seconds(30)};
  Phase phase = Phase::waiting;

  // waiting: when the next attempt is due (the first one at once). subscribing: by when LISTEN must be
  // confirmed. listening: by when the probe must be back if it is out, else when the next one is due.
  Clock::time_point deadline;

  std::optional<ConnectAttempt> attempt;  // connecting
  std::optional<Session> session;         // subscribing, listening
  bool probe_is_out = false;
  std::optional<Clock::time_point> probed_at;
  bool has_more = false;  // libpq holds words that were not taken yet
  std::uint64_t heard = 0;

  bool established = false;            // not taken yet
  int connections = 0;                 // how often LISTEN was confirmed
  std::optional<std::string> failure;  // not taken yet
};

// Does what can be done in this phase; true when the next phase has begun.
bool Listener::Impl::step(Clock::time_point now, std::vector<Notification>& notifications) {
  switch (phase) {
    case Phase::waiting:
      if (now < deadline) return false;
      attempt.emplace(options.url, options.application_name, options.connect_timeout, now);
      phase = Phase::connecting;
      return true;
    case Phase::connecting: {
      ConnectionHandle connection = attempt->advance(now);
      if (!connection) return false;
      subscribe(std::move(connection), now);
      return true;
    }
    case Phase::subscribing:
      session->exchange();
      if (!session->is_busy()) {
        become_listening(now);
      } else if (now >= deadline) {
        throw DatabaseError(Remedy::reconnect, "the database does not answer to LISTEN");
      }
      return phase == Phase::listening;
    case Phase::listening:
      session->exchange();
      take_words(now, notifications);
      if (session->has_stepped_down()) {
        throw DatabaseError(Remedy::reconnect, "the server that was listened to only reads now");
      }
      if (now >= deadline) probe(now);
      return false;
  }
  return false;
}

void Listener::Impl::subscribe(ConnectionHandle connection, Clock::time_point now) {
  attempt.reset();
  session.emplace(std::move(connection));
  std::string commands = "listen " + quoted(session->handle(), probe_channel);
  for (const std::string& channel : channels_for(options.queues)) {
    commands += "; listen " + quoted(session->handle(), channel);
  }
  // A process that is stopped does not read what the server sends. The backend would wait for it, and hold
  // back vacuum for the whole database. So the server gives such a connection up (TCP only, not a Unix
  // socket).
  commands += "; set tcp_user_timeout = " + std::to_string(options.unread_timeout.count());
  commands += "; set idle_session_timeout = 0";
  session->send(commands);
  deadline = now + options.connect_timeout;
  phase = Phase::subscribing;
}

void Listener::Impl::become_listening(Clock::time_point now) {
  phase = Phase::listening;
  established = true;
  ++connections;
  backoff.reset();
  refused.reset();
  probe_is_out = false;
  deadline = now + options.probe_interval;
}

void Listener::Impl::take_words(Clock::time_point now, std::vector<Notification>& notifications) {
  has_more = true;
  for (int words = 0; words < kMaxWordsAtOnce && notifications.size() < kMaxNotificationsAtOnce; ++words) {
    const auto word = session->next_word();
    if (!word) {
      has_more = false;
      return;
    }
    if (word->channel == probe_channel) {
      probe_is_out = false;
      probed_at = now;
      deadline = now + options.probe_interval;
    } else if (says_nothing_new(word->payload, notifications)) {
      ++heard;
    } else if (auto notification = parse_notification(word->channel, word->payload)) {
      ++heard;
      fold(*std::move(notification), notifications);
    }
  }
}

void Listener::Impl::probe(Clock::time_point now) {
  if (probe_is_out) {
    throw DatabaseError(Remedy::reconnect,
                        "the LISTEN connection has fallen silent: no word came back within " +
                            std::to_string(options.probe_timeout.count()) + " ms");
  }
  session->send("notify " + quoted(session->handle(), probe_channel));
  probe_is_out = true;
  deadline = now + options.probe_timeout;
}

// A server that refuses us (a wrong password, no such database) does so until a person mends it. After such
// an error the waits grow longer, so that our attempts do not keep the server busy.
void Listener::Impl::fail(const DatabaseError& error, Clock::time_point now) {
  attempt.reset();
  session.reset();
  has_more = false;
  phase = Phase::waiting;
  deadline = now + (error.remedy() == Remedy::bug ? refused : backoff).next(sys::chance());
  failure = error.what();
}

Listener::Listener(ListenOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Listener::~Listener() = default;
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;

Listener::State Listener::state() const {
  switch (impl_->phase) {
    case Impl::Phase::waiting:
      return State::waiting;
    case Impl::Phase::connecting:
    case Impl::Phase::subscribing:
      return State::connecting;
    case Impl::Phase::listening:
      return State::listening;
  }
  return State::waiting;
}

int Listener::socket() const {
  if (impl_->attempt) return impl_->attempt->socket();
  if (impl_->session) return PQsocket(impl_->session->handle());
  return -1;
}

Listener::Wants Listener::wants() const {
  if (impl_->attempt) return {.read = !impl_->attempt->wants_write(), .write = impl_->attempt->wants_write()};
  if (impl_->session) return {.read = true, .write = impl_->session->wants_write()};
  return {};
}

Listener::Clock::time_point Listener::deadline() const {
  if (impl_->has_more) return Clock::time_point();  // at once
  return impl_->attempt ? impl_->attempt->deadline() : impl_->deadline;
}

std::vector<Notification> Listener::advance(Clock::time_point now) {
  std::vector<Notification> notifications;
  try {
    while (impl_->step(now, notifications)) {
    }
  } catch (const DatabaseError& error) {
    impl_->fail(error, now);
  }
  return notifications;
}

bool Listener::take_established() {
  return std::exchange(impl_->established, false);
}
std::optional<std::string> Listener::take_failure() {
  return std::exchange(impl_->failure, std::nullopt);
}
int Listener::reconnects() const {
  return std::max(impl_->connections - 1, 0);
}
std::uint64_t Listener::heard() const {
  return impl_->heard;
}
std::optional<Listener::Clock::time_point> Listener::probed_at() const {
  return impl_->probed_at;
}

}  // namespace postpone::sql

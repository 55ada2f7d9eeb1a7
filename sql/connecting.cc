#include "sql/connecting.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>
#include <utility>

#include "sql/error.h"
#include "sys/logger.h"

namespace postpone::sql {
namespace {

using ConnInfo = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

std::string value_of(const PQconninfoOption* options, std::string_view keyword) {
  for (; options != nullptr && options->keyword != nullptr; ++options) {
    if (options->keyword == keyword) return options->val != nullptr ? options->val : "";
  }
  return "";
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// The list without one of its elements; a list of one element counts for every host.
std::string without(const std::string& list, std::size_t index) {
  const std::vector<std::string> parts = split(list);
  if (parts.size() == 1) return list;
  std::string rest;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i == index) continue;
    if (!rest.empty()) rest += ',';
    rest += parts[i];
  }
  return rest;
}

bool is_uri(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

// Whether a word that libpq took for the name of an option may be shown. It cannot be a piece of a password
// where none precedes it in a connection string, nor, in a URI, an '@' comes behind it.
bool may_be_shown(std::string_view word, std::string_view url) {
  const std::size_t at = url.find(word);
  if (word.empty() || at == std::string_view::npos || url.find(word, at + 1) != std::string_view::npos)
    return false;
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") !=
      std::string_view::npos)
    return false;
  return is_uri(url) ? url.find('@', at) == std::string_view::npos
                     : url.substr(0, at).find("pass") == std::string_view::npos;
}

// `invalid connection option "hots"`: the word that matters; empty when libpq says something else.
std::string unknown_option(std::string_view message, std::string_view url) {
  for (const std::string_view beginning : {std::string_view("invalid connection option \""),
                                           std::string_view("invalid URI query parameter: \"")}) {
    if (!message.starts_with(beginning)) continue;
    const std::string_view word =
        message.substr(beginning.size(), message.find('"', beginning.size()) - beginning.size());
    if (may_be_shown(word, url)) return std::string(message.substr(0, message.find('\n')));
  }
  return "";
}

// libpq quotes the place where it stopped to understand; that may be a piece of the password.
std::string without_quoted_text(std::string_view message) {
  std::string text;
  bool quoted = false;
  for (const char c : message) {
    if (c == '"') {
      if (!quoted) text += "\"...\"";
      quoted = !quoted;
    } else if (!quoted && c != '\n') {
      text += c;
    }
  }
  return text;
}

// "postgresql+psycopg://…", "me:secret@localhost/kitchen": libpq takes it for the name of a database, and the
// server, which knows none of that name, repeats it in its answer and in its log.
bool is_foreign_uri(std::string_view url) {
  const std::size_t mark = std::min(url.find("://"), url.find('@'));
  return !is_uri(url) && mark != std::string_view::npos && url.find('=') > mark;
}

bool is_conninfo(std::string_view url) {
  return is_uri(url) || url.find('=') != std::string_view::npos;
}

constexpr std::string_view kOurWarning = "01P0J";  // of postpone_delete_ended_jobs()

void log_notice(void*, const PGresult* notice) {
  const char* text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char* state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  // What our own functions warn of is for people; what triggers of an application say, for their authors.
  if (state != nullptr && std::string_view(state) == kOurWarning && text != nullptr)
    return sys::log_of(sys::Component::job).warn("{}", text);
  sys::log_of(sys::Component::database)
      .debug("database: {}: {}", severity != nullptr ? severity : "NOTICE", text != nullptr ? text : "");
}

}  // namespace

void CloseConnection::operator()(pg_conn* connection) const noexcept {
  PQfinish(connection);
}

// What libpq would say of these mistakes quotes the url.
std::string fault_of_url(const std::string& url) {
  constexpr const char* kNotValid = "the database url is not valid: ";
  if (is_foreign_uri(url))
    return std::string(kNotValid) +
           "it must begin with postgresql:// or postgres://, or be a connection string such as "
           "\"host=localhost dbname=kitchen\"";
  if (!is_conninfo(url)) return "";  // the name of a database
  char* error = nullptr;
  const ConnInfo options(PQconninfoParse(url.c_str(), &error), &PQconninfoFree);
  if (!options) {
    const std::unique_ptr<char, decltype(&PQfreemem)> text(error, &PQfreemem);
    const std::string_view message = text ? text.get() : "out of memory";
    const std::string known = unknown_option(message, url);
    return kNotValid + (known.empty() ? without_quoted_text(message) : known);
  }
  const bool at_sign_in_host = value_of(options.get(), "host").find('@') != std::string::npos;
  const bool odd_port = value_of(options.get(), "port").find_first_not_of("0123456789,") != std::string::npos;
  if (!at_sign_in_host && !odd_port) return "";
  return std::string(kNotValid) +
         "its host or port is none; write '@', ':' and '/' in a password as %40, %3A and %2F";
}

ConnectAttempt::ConnectAttempt(std::string url, std::string application_name,
                               std::chrono::milliseconds time_per_host, Clock::time_point now)
    : url_(std::move(url)), application_name_(std::move(application_name)), time_per_host_(time_per_host) {
  if (const std::string fault = fault_of_url(url_); !fault.empty()) throw DatabaseError(Remedy::bug, fault);
  start({}, now);
}

// Where a keyword stands twice, the later one holds: what precedes the url are defaults, what follows it is
// certain.
void ConnectAttempt::start(const Hosts& hosts, Clock::time_point now) {
  static constexpr std::array kKeywords = {"fallback_application_name",
                                           "keepalives_idle",
                                           "keepalives_interval",
                                           "keepalives_count",
                                           "tcp_user_timeout",
                                           "dbname",
                                           "host",
                                           "hostaddr",
                                           "port",
                                           "client_encoding",
                                           static_cast<const char*>(nullptr)};
  const std::array values = {application_name_.c_str(),
                             "30",
                             "10",
                             "3",
                             "30000",
                             url_.c_str(),
                             hosts.names.c_str(),
                             hosts.addresses.c_str(),
                             hosts.ports.c_str(),
                             "UTF8",
                             static_cast<const char*>(nullptr)};
  constexpr int kExpandDbname = 1;
  handle_.reset(PQconnectStartParams(kKeywords.data(), values.data(), kExpandDbname));
  if (!handle_) throw std::bad_alloc();
  // With the SQLSTATE, which libpq gives for a failed connection in no other way.
  PQsetErrorVerbosity(handle_.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(handle_.get(), log_notice, nullptr);
  if (PQstatus(handle_.get()) == CONNECTION_BAD) throw connect_failure(PQerrorMessage(handle_.get()), false);
  wants_write_ = true;
  host_.clear();
  note_host(now);
}

ConnectionHandle ConnectAttempt::advance(Clock::time_point now) {
  pg_conn* connection = handle_.get();
  while (is_ready()) {
    const PostgresPollingStatusType status = PQconnectPoll(connection);
    if (status == PGRES_POLLING_FAILED) {
      throw connect_failure(PQerrorMessage(connection), PQconnectionNeedsPassword(connection) != 0);
    }
    if (status == PGRES_POLLING_OK) {
      PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
      PQsetnonblocking(connection, 1);
      return std::move(handle_);
    }
    wants_write_ = status == PGRES_POLLING_WRITING;
    note_host(now);
  }
  if (now >= deadline_) leave_out_silent_host(now);
  return nullptr;
}

int ConnectAttempt::socket() const {
  return PQsocket(handle_.get());
}

// Asked here, not believed: libpq takes an unready socket for a connected one.
bool ConnectAttempt::is_ready() const {
  pollfd one{.fd = socket(), .events = static_cast<short>(wants_write_ ? POLLOUT : POLLIN), .revents = 0};
  return poll(&one, 1, 0) > 0;
}

std::string ConnectAttempt::current_host() const {
  const auto text = [](const char* value) { return std::string(value != nullptr ? value : ""); };
  const pg_conn* connection = handle_.get();
  return text(PQhost(connection)) + " " + text(PQhostaddr(connection)) + " " + text(PQport(connection));
}

// libpq goes on to the next host or address by itself when one refuses; each has its own time.
void ConnectAttempt::note_host(Clock::time_point now) {
  std::string host = current_host();
  if (host == host_) return;
  host_ = std::move(host);
  deadline_ = now + time_per_host_;
}

void ConnectAttempt::leave_out_silent_host(Clock::time_point now) {
  const ConnInfo options(PQconninfo(handle_.get()), &PQconninfoFree);
  const Hosts all{value_of(options.get(), "host"), value_of(options.get(), "hostaddr"),
                  value_of(options.get(), "port")};
  const std::vector<std::string> names = split(all.names.empty() ? all.addresses : all.names);
  const std::vector<std::string> ports = split(all.ports);
  const std::string name = PQhost(handle_.get());
  const std::string port = PQport(handle_.get());

  std::size_t index = 0;
  while (index < names.size() && !(names[index] == name && ports[index % ports.size()] == port)) ++index;
  if (names.size() == 1 || index == names.size()) {
    throw DatabaseError(Remedy::reconnect, "cannot connect to the database: " + name + " port " + port +
                                               " does not answer within " +
                                               std::to_string(time_per_host_.count()) + " ms");
  }
  sys::log_of(sys::Component::database)
      .warn("database: {} port {} does not answer, the next host is tried", name, port);
  start({without(all.names, index), without(all.addresses, index), without(all.ports, index)}, now);
}

}  // namespace postpone::sql

#include "sql/error.h"

#include <algorithm>
#include <array>
#include <optional>
#include <regex>

namespace postpone::sql {
namespace {

constexpr std::string_view kQueueingLockIndex = "procrastinate_jobs_queueing_lock_idx_v1";
constexpr std::string_view kLeaseConstraint = "procrastinate_jobs_worker_id_fkey";

bool is_one_of(std::string_view sqlstate, std::initializer_list<std::string_view> states) {
  return std::find(states.begin(), states.end(), sqlstate) != states.end();
}

// A table, function, type or column of ours that is not there.
bool schema_is_missing(const ServerError& error) {
  if (!is_one_of(error.sqlstate, {"42P01", "42883", "42704", "42703"})) return false;
  return error.message.find("procrastinate_") != std::string::npos ||
         error.message.find("postpone_") != std::string::npos;
}

std::string describe(const ServerError& error) {
  std::string text = one_line(error.message) + " (SQLSTATE " + error.sqlstate + ")";
  if (!error.detail.empty()) text += ": " + one_line(error.detail);
  if (error.line > 0) text += ", line " + std::to_string(error.line);
  if (schema_is_missing(error)) text += "; run: postpone schema apply";
  if (error.sqlstate == "42501")
    text +=
        "; GRANT this role what it is for: postpone_monitor looks, postpone_client defers, postpone_operator "
        "changes jobs, postpone_worker runs them (made by: postpone schema roles)";
  return text;
}

// From the detail `Key (queueing_lock)=(x) already exists.`, whose words depend on the server's language.
std::string lock_in_detail(std::string_view detail) {
  constexpr std::string_view kKey = "(queueing_lock)=(";
  const std::size_t key = detail.find(kKey);
  const std::size_t end = detail.rfind(')');
  if (key == std::string_view::npos || end < key + kKey.size()) return "";
  return std::string(detail.substr(key + kKey.size(), end - key - kKey.size()));
}

// Mistakes of the url or the service file, which libpq finds before it speaks to anyone.
bool is_configuration_mistake(std::string_view message) {
  static constexpr std::array<std::string_view, 5> kBeginnings = {"invalid ", "could not match ",
                                                                  "definition of service ", "service file ",
                                                                  "syntax error in service file "};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [message](std::string_view beginning) { return message.starts_with(beginning); });
}

// PgBouncer has one SQLSTATE for all that it has to say.
bool is_pgbouncers_refusal(std::string_view sqlstate, std::string_view message) {
  static constexpr std::array<std::string_view, 3> kTexts = {"authentication failed", "no such user",
                                                             "no such database"};
  return sqlstate == "08P01" && std::any_of(kTexts.begin(), kTexts.end(), [message](std::string_view text) {
           return message.find(text) != std::string_view::npos;
         });
}

struct ConnectMessage {
  std::string text;
  // Of the last host that sent one: libpq tries the next host after an error that it expects to pass.
  std::string sqlstate;
};

// Lines joined; "FATAL:  28P01: text" (the severity is in the server's language) becomes "text (SQLSTATE
// 28P01)".
ConnectMessage tidy(std::string_view libpq_message) {
  static const std::regex kCode(R"(\S+:  ([0-9A-Z]{5}): (.*))");
  ConnectMessage result;
  for (std::size_t begin = 0; begin < libpq_message.size();) {
    const std::size_t end = std::min(libpq_message.find('\n', begin), libpq_message.size());
    std::string line(libpq_message.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty() || line.starts_with("LOCATION:")) continue;
    std::smatch match;
    if (std::regex_search(line, match, kCode)) {
      result.sqlstate = match[1];
      line = match.prefix().str() + match[2].str() + " (SQLSTATE " + result.sqlstate + ")";
    }
    result.text += (result.text.empty() ? "" : "; ") + one_line(line);
  }
  return result;
}

}  // namespace

bool DatabaseError::leaves_doubt() const noexcept {
  return remedy_ == Remedy::reconnect && sqlstate_ != "25006";
}

bool says_lease_is_gone(const DatabaseError& error) {
  return error.sqlstate() == "23503" && error.constraint() == kLeaseConstraint;
}

AlreadyEnqueued::AlreadyEnqueued(const DatabaseError& violation, std::string queueing_lock,
                                 const std::string& reason)
    : DatabaseError(
          Remedy::conflict,
          "already enqueued: " +
              (reason.empty() ? "a job with queueing lock \"" + queueing_lock + "\" waits" : reason),
          violation.sqlstate(), violation.constraint(), violation.detail()),
      queueing_lock_(std::move(queueing_lock)) {}

Remedy remedy_for(std::string_view sqlstate, std::string_view constraint) {
  const std::string_view family = sqlstate.substr(0, 2);
  if (sqlstate.empty() || family == "08") return Remedy::reconnect;
  if (is_one_of(sqlstate, {"57P01", "57P02", "57P03", "57P05", "25P03", "25006", "53300"}))
    return Remedy::reconnect;
  if (is_one_of(sqlstate, {"40001", "40P01", "55P03"})) return Remedy::retry;
  if (family == "53" || family == "58" || sqlstate == "57014") return Remedy::wait;
  if (sqlstate == "23505" && constraint == kQueueingLockIndex) return Remedy::conflict;
  return Remedy::bug;
}

void throw_server_error(const ServerError& error) {
  if (error.sqlstate.empty()) {
    throw DatabaseError(Remedy::reconnect,
                        "the connection to the database was lost: " + one_line(error.message));
  }
  const Remedy remedy = remedy_for(error.sqlstate, error.constraint);
  const DatabaseError thrown(remedy, describe(error), error.sqlstate, error.constraint, error.detail);
  if (remedy == Remedy::conflict) {
    // Said by postpone_meet_waiting(), and not by the unique index.
    const bool is_of_another_task = error.message.starts_with("job ");
    throw AlreadyEnqueued(thrown, lock_in_detail(error.detail),
                          is_of_another_task ? one_line(error.message) : "");
  }
  throw thrown;
}

DatabaseError connect_failure(std::string_view libpq_message, bool password_missing) {
  const ConnectMessage message = tidy(libpq_message);
  const std::string text = "cannot connect to the database: " + message.text;
  const bool hopeless = password_missing || is_pgbouncers_refusal(message.sqlstate, message.text) ||
                        (message.sqlstate.empty() && is_configuration_mistake(message.text));
  return {hopeless ? Remedy::bug : remedy_for(message.sqlstate), text, message.sqlstate};
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  if (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace postpone::sql

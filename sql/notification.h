// What the triggers notify of (sql/functions/notifications.sql), read. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postpone::sql {

// A notification from the database, as its payload says it. Payloads that are not of the contract's form are
// ignored. Any role that may connect to the database can send any payload, so a notification is only a hint
// to look there.
struct Notification {
  enum class Type { job_inserted, abort_job_requested };
  Type type = Type::job_inserted;
  std::int64_t job_id = 0;
  std::string queue;       // empty: not known, may be any
  int count = 1;           // how many jobs of that queue became ready
  bool scheduled = false;  // (some of) the jobs wait for a time to come
};

// The channel and payload of one notification, parsed; nothing when it is none of ours.
std::optional<Notification> parse_notification(std::string_view channel, std::string_view payload);

// Adds a notification to others that are handled together with it: what says the same becomes one. Of a queue
// the jobs are added up; that some job has to stop is said once, with the number of the first.
void fold(Notification notification, std::vector<Notification>& others);

// Whether this payload only says that some job has to stop, which these say already: a hundred thousand of
// them are not worth being parsed.
bool says_nothing_new(const std::string& payload, const std::vector<Notification>& notifications);

// The channels to listen on for these queues (empty = all): one for each queue, or the any-queue channel when
// all are served or a name is too long for a channel (40 bytes).
std::vector<std::string> channels_for(const std::vector<std::string>& queues);

}  // namespace postpone::sql

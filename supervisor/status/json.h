// The snapshot as the JSON that docs/status.md describes, and docs/status.schema.json. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "supervisor/status/judge.h"
#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

// Raised when a field is renamed, removed or changes its meaning; new ones come without.
inline constexpr int kSchemaVersion = 1;

std::string to_json(const Snapshot& snapshot, const Judgement& judgement);

// An event for clients that follow, as server-sent events put it: "event: …\ndata: {…}\n\n".
std::string job_event(const board::News& news, std::uint32_t slot, const std::string& group,
                      std::int64_t now_ns, std::int64_t now_unix_ns);
// A sub-worker or the housekeeper began or ended. `how`: empty = it was born.
std::string member_event(const std::string& name, std::int64_t pid, const std::string& how,
                         std::int64_t now_unix_ns);
std::string state_event(const Judgement& judgement, std::int64_t now_unix_ns);

// "2026-11-26T12:54:44.123456Z"
std::string iso_time(std::int64_t unix_ns);

}  // namespace postpone::supervisor::status

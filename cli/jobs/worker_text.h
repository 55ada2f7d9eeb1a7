// Workers and running jobs in words, the same in every command.
#pragma once

#include <optional>
#include <string>

#include "sql/overview.h"

namespace postpone::cli {

// "kitchen/3"; "7 (foreign)" for a worker that is not one of Postpone's; "gone" without a lease.
std::string name_of(const std::optional<sql::Lease>& lease);
// "kitchen/3 on host web1", "worker 7 (foreign)", "a worker that is gone".
std::string describe(const std::optional<sql::Lease>& lease);
// The group, which is the first part of a sub-worker's name: "kitchen" for "kitchen/3". Empty for a foreign
// worker.
std::string group_of(const sql::Lease& lease);
// "3.4 s"; "?" when the job has no event that says when it started.
std::string running_for(const sql::DoingJob& run);

}  // namespace postpone::cli

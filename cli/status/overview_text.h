// Workers and running jobs in words, the same in every command.
#pragma once

#include <string>

#include "sql/overview.h"

namespace postpone::cli {

// "kitchen/3", "7 (foreign)"; "gone" for nobody.
std::string name_of(const std::optional<sql::Lease>& lease);
// "kitchen/3 on host web1", "worker 7 (foreign)", "a worker that is gone".
std::string describe(const std::optional<sql::Lease>& lease);
// The group of a worker of ours, after which it is called: "kitchen" of "kitchen/3". Empty of foreign ones.
std::string group_of(const sql::Lease& lease);
// "3.4 s"; "?" when no event tells.
std::string running_for(const sql::Run& run);

}  // namespace postpone::cli

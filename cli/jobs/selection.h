// Which jobs a command is about: by id, or by the options of a filter.
#pragma once

#include <optional>
#include <vector>

#include "sql/job_manager.h"

namespace postpone::cli {

class Command;

// Adds --queue, --task, --lock, --queueing-lock and --status. `filter` must outlive the parser.
void add_filter_options(Command& command, sql::JobFilter& filter);

// Jobs that a command is to change: either ids or a filter.
struct Selection {
  std::vector<sql::JobId> ids;
  sql::JobFilter filter;
};
// Adds IDs and the options of a filter; a line must use one kind, and not both. `selection` must outlive the
// parser.
void add_selection(Command& command, Selection& selection);

// The job as it is now; nothing when there is none.
std::optional<sql::Job> find(sql::JobManager& jobs, sql::JobId id);

}  // namespace postpone::cli

// The snapshot as Prometheus reads it: text format 0.0.4, base units, and labels of bounded sets only
// (groups, tasks and queues by name as the board bounds them, states, endings). Pure.
#pragma once

#include <string>

#include "supervisor/status/judge.h"
#include "supervisor/status/snapshot.h"

namespace postpone::supervisor::status {

std::string to_metrics(const Snapshot& snapshot, const Judgement& judgement);

}  // namespace postpone::supervisor::status

// One job from start to end.
#pragma once

#include "libtask/wire/frame.h"
#include "registry.h"
#include "running_job.h"

namespace libtask::detail {

// Runs the handler of run.task. The result says how that ended, with whatever the handler threw, and not what it
// used. Its output is flushed. A process that the handler forked and that comes back from the handler ends here
// (status 70): it must not speak for the job.
wire::Result execute(const wire::Run& run, const Registry& registry, JobGiver& giver);

}  // namespace libtask::detail

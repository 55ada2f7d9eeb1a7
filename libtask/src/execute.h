// One job from start to end.
#pragma once

#include "libtask/wire/frame.h"
#include "registry.h"
#include "running_job.h"
#include "usage_meter.h"

namespace libtask::detail {

// What is to be known of a run beside its result.
struct Ran {
  wire::Result result;
  bool waited_for_children = false;
};

// Runs the handler of run.task. The result says how that ended, with whatever the handler threw. Its output
// is flushed. A process that the handler forked and that comes back from the handler ends here (status 70):
// it must not speak for the job. REQUIRES: `usage` has begun with it.
Ran execute(const wire::Run& run, const Registry& registry, JobGiver& giver, UsageMeter& usage);
// The same of a job by itself.
wire::Result execute(const wire::Run& run, const Registry& registry, JobGiver& giver);

}  // namespace libtask::detail

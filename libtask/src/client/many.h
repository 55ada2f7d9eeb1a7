// Many jobs at once: in one statement, or by COPY.
#pragma once

#include <vector>

#include "libtask/client.h"
#include "session.h"

namespace libtask::detail {

// REQUIRES: check() has passed each job.
std::vector<Deferred> defer_many(Session& session, const std::vector<NewJob>& jobs,
                                 const DeferCallback& on_progress);

}  // namespace libtask::detail

// A task executable on the command line, without a database and without a sub-worker.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "registry.h"

namespace libtask::detail {

// Does what `arguments` (without argv[0]) ask for and returns the exit status: 0 done, 1 the job failed or
// was aborted, 2 the command line or the job's arguments make no sense. `program` is how the help calls this
// executable. REQUIRES: a registry without faults.
int serve_by_hand(const Registry& registry, std::string_view program,
                  const std::vector<std::string>& arguments);

}  // namespace libtask::detail

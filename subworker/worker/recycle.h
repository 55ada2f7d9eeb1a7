// When a task process is replaced by a fresh one. Pure: what is known about it goes in, a reason comes out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "config/config.h"

namespace postpone::subworker {

struct TaskProcessAge {
  int jobs_served = 0;
  std::chrono::milliseconds age{0};
  std::int64_t rss_bytes = 0;
};

// Empty = it goes on. `max_jobs` is the group's, less this process's share of the jitter.
std::string reason_to_recycle(const TaskProcessAge& process, const config::Group& group, int max_jobs);

// The group's max_jobs for one process: less a random part of max_jobs_jitter, so that not all are replaced
// at the same time; 0 = no limit. `chance` lies in [0, 1).
int max_jobs_with_jitter(const config::Group& group, double chance);

}  // namespace postpone::subworker

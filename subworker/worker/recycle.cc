#include "subworker/worker/recycle.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace postpone::subworker {

std::string reason_to_recycle(const TaskProcessAge& process, const config::Group& group, int max_jobs) {
  if (group.fresh_process_per_job) return "fresh_process_per_job";
  if (max_jobs > 0 && process.jobs_served >= max_jobs)
    return fmt::format("max_jobs: served {}", process.jobs_served);
  if (group.max_rss > 0 && process.rss_bytes > group.max_rss)
    return fmt::format("max_rss: {} bytes resident, {} allowed", process.rss_bytes, group.max_rss);
  if (group.max_age.count() > 0 && process.age > group.max_age)
    return fmt::format("max_age: {} s old", process.age.count() / 1000);
  return {};
}

int max_jobs_with_jitter(const config::Group& group, double chance) {
  if (group.max_jobs == 0) return 0;
  const int less = static_cast<int>(chance * (group.max_jobs_jitter + 1));
  return std::max(1, group.max_jobs - less);
}

}  // namespace postpone::subworker

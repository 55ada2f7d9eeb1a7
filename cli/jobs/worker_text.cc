#include "cli/jobs/worker_text.h"

#include "cli/text/text.h"

namespace postpone::cli {

std::string name_of(const std::optional<sql::Lease>& lease) {
  if (!lease) return "gone";
  return lease->foreign ? std::to_string(lease->id) + " (foreign)" : printable(lease->name);
}

std::string describe(const std::optional<sql::Lease>& lease) {
  if (!lease) return "a worker that is gone";
  if (lease->foreign) return "worker " + name_of(lease);
  return name_of(lease) + " on host " + printable(lease->host);
}

std::string group_of(const sql::Lease& lease) {
  return lease.foreign ? "" : lease.name.substr(0, lease.name.rfind('/'));
}

std::string running_for(const sql::DoingJob& run) {
  return run.running_for ? human_duration(*run.running_for) : "?";
}

}  // namespace postpone::cli

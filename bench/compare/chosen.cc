// Which workloads are to be measured: apart from what they are made of, since this much is pure.
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/compare/workloads.h"

namespace postpone::bench {

std::vector<Workload> chosen(const std::vector<Workload>& all, const std::vector<std::string>& names) {
  std::set<std::string> picked;
  for (const std::string& name : names) {
    bool is_found = false;
    for (const Workload& workload : all) {
      if (workload.name != name && !workload.name.starts_with(name + "-")) continue;
      picked.insert(workload.name);
      is_found = true;
    }
    if (is_found) continue;
    std::string message = "no workload \"" + name + "\"; there are";
    for (const Workload& workload : all) message += ' ' + workload.name;
    throw std::invalid_argument(message);
  }
  std::vector<Workload> workloads;
  for (const Workload& workload : all)
    if (picked.contains(workload.name)) workloads.push_back(workload);
  return workloads;
}

}  // namespace postpone::bench

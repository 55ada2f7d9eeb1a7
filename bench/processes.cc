#include "bench/processes.h"

#include <filesystem>
#include <sstream>
#include <string>

#include "tests/support/files.h"

namespace postpone::bench {

// The kernel's schedstat counts nanoseconds, where stat counts ticks of 10 ms, more than a short benchmark
// takes.
double cpu_ms(pid_t pid) {
  double ms = 0;
  std::error_code gone;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone)) {
    std::istringstream text(tests::read_file(thread.path() / "schedstat"));
    double ns = 0;
    text >> ns;
    ms += ns / 1e6;
  }
  return ms;
}

double private_mib(pid_t pid) {
  std::istringstream lines(tests::read_file("/proc/" + std::to_string(pid) + "/smaps_rollup"));
  double kib = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("Private_Clean:") || line.starts_with("Private_Dirty:"))
      kib += std::stod(line.substr(14));
  return kib / 1024;
}

}  // namespace postpone::bench

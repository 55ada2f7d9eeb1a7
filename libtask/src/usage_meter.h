// What a job uses: CPU time and the peak of its memory.
#pragma once

#include <cstdint>

namespace libtask::detail {

// Of one job, from construction on; a process runs one job at a time. CPU time is that of this process and of
// the children it has waited for; the peak is that of this process (0 where there is no /proc).
//
// The kernel tells the peak in a text of /proc, which costs more than a short job. A process whose memory grows
// has page faults, and their number costs next to nothing: while it stays the same, what was read last is still
// the peak. A process that has given memory back meanwhile may seem to have it for another 100 ms.
class UsageMeter {
 public:
  UsageMeter();

  std::uint64_t cpu_us() const;
  // At the end of the job. Begins the peak of the next one.
  std::uint64_t max_rss_bytes() const;

 private:
  std::uint64_t cpu_before_us_ = 0;
};

}  // namespace libtask::detail

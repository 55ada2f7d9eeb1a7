// What a job uses: CPU time and the peak of its memory.
#pragma once

#include <chrono>
#include <cstdint>

namespace libtask::detail {

// Of one job after the other; a process runs one job at a time. CPU time is that of this process and of the
// children it has waited for; the peak is that of this process (0 where there is no /proc).
//
// The kernel tells the peak in a text of /proc, which costs more than a short job. A process whose memory grows
// has page faults, and their number costs less: while it stays the same, what was read last is still the peak. A
// process that has given memory back meanwhile may seem to have it for another 100 ms.
//
// A quiet job (quiet_watch.h) has waited for nothing, so its CPU time is the time that it took, and it costs no
// system call. That goes on for 100 us at most, so that CPU time in which it did not have the processor is put
// right, and memory that it has touched without asking for it is found, before they amount to something.
class UsageMeter {
 public:
  // A job begins: what happened before, to the program or between two jobs, is not the job's.
  UsageMeter() { begin(); }
  void begin();

  struct Usage {
    std::uint64_t cpu_us = 0;
    std::uint64_t max_rss_bytes = 0;
    bool waited_for_children = false;
  };
  // The job ends, and another one may begin at once, without begin(): two system calls for both.
  Usage end();
  // The same of a quiet job, which took so long.
  Usage end_quiet(std::chrono::nanoseconds took);

 private:
  void read_anew(std::uint64_t cpu_us, std::uint64_t child_faults);

  std::uint64_t cpu_us_ = 0;            // used before the job
  std::uint64_t child_faults_ = 0;      // page faults of children that were waited for before the job
  std::chrono::nanoseconds unread_{0};  // of the quiet jobs since the last reading
};

}  // namespace libtask::detail

// What a job uses: CPU time and the peak of its memory.
#pragma once

#include <cstdint>

namespace libtask::detail {

// From construction on. CPU time is that of this process and of the children it has waited for; the peak is
// that of this process (0 where there is no /proc).
class UsageMeter {
 public:
  UsageMeter();

  std::uint64_t cpu_us() const;
  std::uint64_t max_rss_bytes() const;

 private:
  std::uint64_t cpu_before_us_;
};

}  // namespace libtask::detail

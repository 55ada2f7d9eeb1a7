#include "usage_meter.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace libtask::detail {
namespace {

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

std::uint64_t cpu_used_us() {
  std::uint64_t sum = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (getrusage(who, &usage) == 0) sum += microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  }
  return sum;
}

// "5" sets the peak (VmHWM) back to what is resident now; the ru_maxrss of getrusage would be the peak of all
// jobs so far.
void reset_peak() {
  const int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, "5", 1);
  close(file);
}

}  // namespace

UsageMeter::UsageMeter() : cpu_before_us_(cpu_used_us()) {
  reset_peak();
}

std::uint64_t UsageMeter::cpu_us() const {
  return cpu_used_us() - cpu_before_us_;
}

std::uint64_t UsageMeter::max_rss_bytes() const {
  constexpr std::string_view kPeak = "VmHWM:";
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 4096> text{};
  const ssize_t size = read(file, text.data(), text.size() - 1);
  close(file);
  if (size <= 0) return 0;
  const char* line = std::strstr(text.data(), kPeak.data());
  return line == nullptr ? 0 : std::strtoull(line + kPeak.size(), nullptr, 10) * 1024;
}

}  // namespace libtask::detail

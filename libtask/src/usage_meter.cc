#include "usage_meter.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

namespace libtask::detail {
namespace {

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

struct Used {
  std::uint64_t cpu_us = 0;
  std::uint64_t page_faults = 0;   // of this process
  std::uint64_t child_faults = 0;  // of children that were waited for: each has some
};

std::uint64_t faults(const rusage& usage) {
  return static_cast<std::uint64_t>(usage.ru_minflt + usage.ru_majflt);
}

Used used_so_far() {
  Used used;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (getrusage(who, &usage) != 0) continue;
    used.cpu_us += microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    (who == RUSAGE_SELF ? used.page_faults : used.child_faults) = faults(usage);
  }
  return used;
}

struct Memory {
  std::uint64_t peak_bytes = 0;  // since reset_peak()
  std::uint64_t now_bytes = 0;
};

std::uint64_t bytes_in(const char* text, std::string_view name) {
  const char* line = std::strstr(text, name.data());
  return line == nullptr ? 0 : std::strtoull(line + name.size(), nullptr, 10) * 1024;
}

Memory read_memory() {
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  std::array<char, 4096> text{};
  const ssize_t size = read(file, text.data(), text.size() - 1);
  close(file);
  if (size <= 0) return {};
  return {bytes_in(text.data(), "VmHWM:"), bytes_in(text.data(), "VmRSS:")};
}

// "5" sets the peak (VmHWM) back to what is resident now; the ru_maxrss of getrusage would be the peak of all
// jobs so far.
void reset_peak() {
  const int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, "5", 1);
  close(file);
}

using Clock = std::chrono::steady_clock;
constexpr auto kReadAgainAfter = std::chrono::milliseconds(100);

// What was read last, of the job that ended last.
struct LastReading {
  std::uint64_t resident_bytes = 0;
  std::uint64_t page_faults = 0;
  std::optional<Clock::time_point> at;
};
LastReading last_reading;

// Does what was read last still hold?
bool is_fresh(const Used& used) {
  return last_reading.at && Clock::now() < *last_reading.at + kReadAgainAfter &&
         used.page_faults == last_reading.page_faults;
}

std::uint64_t max_rss_bytes(const Used& used) {
  if (is_fresh(used)) return last_reading.resident_bytes;
  const Memory memory = read_memory();
  reset_peak();
  last_reading = {memory.now_bytes, used_so_far().page_faults, Clock::now()};
  return memory.peak_bytes;
}

}  // namespace

void UsageMeter::begin() {
  const Used used = used_so_far();
  cpu_us_ = used.cpu_us;
  child_faults_ = used.child_faults;
  if (!is_fresh(used)) reset_peak();
}

UsageMeter::Usage UsageMeter::end() {
  const Used used = used_so_far();
  // Where the kernel's clock went back, or it did not answer, the job took nothing.
  const Usage usage{.cpu_us = used.cpu_us - std::min(used.cpu_us, cpu_us_),
                    .max_rss_bytes = max_rss_bytes(used),
                    .waited_for_children = used.child_faults != child_faults_};
  cpu_us_ = used.cpu_us;
  child_faults_ = used.child_faults;
  return usage;
}

}  // namespace libtask::detail

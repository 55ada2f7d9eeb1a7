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

std::uint64_t whole_us(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
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
constexpr auto kGoodFor = std::chrono::milliseconds(100);

// Of memory, at one moment: it holds while there are no more page faults, for a while.
struct Look {
  std::uint64_t page_faults = 0;
  std::optional<Clock::time_point> at;

  bool holds(const Used& used) const {
    return at && Clock::now() < *at + kGoodFor && used.page_faults == page_faults;
  }
};
Look last_reading;
Look last_reset;                   // of the peak, which a reading does too
std::uint64_t resident_bytes = 0;  // at the last reading

std::uint64_t max_rss_bytes(const Used& used) {
  if (last_reading.holds(used)) return resident_bytes;
  const Memory memory = read_memory();
  reset_peak();
  last_reading = last_reset = {used_so_far().page_faults, Clock::now()};
  resident_bytes = memory.now_bytes;
  return memory.peak_bytes;
}

}  // namespace

void UsageMeter::read_anew(std::uint64_t cpu_us, std::uint64_t child_faults) {
  cpu_us_ = cpu_us;
  child_faults_ = child_faults;
  unread_ = {};
}

void UsageMeter::begin() {
  const Used used = used_so_far();
  read_anew(used.cpu_us, used.child_faults);
  if (last_reset.holds(used)) return;
  reset_peak();
  last_reset = {used.page_faults, Clock::now()};
}

UsageMeter::Usage UsageMeter::end() {
  const Used used = used_so_far();
  const std::uint64_t before = cpu_us_ + whole_us(unread_);
  // Where the kernel's clock went back, or it did not answer, the job took nothing.
  const Usage usage{.cpu_us = used.cpu_us - std::min(used.cpu_us, before),
                    .max_rss_bytes = max_rss_bytes(used),
                    .waited_for_children = used.child_faults != child_faults_};
  read_anew(used.cpu_us, used.child_faults);
  return usage;
}

UsageMeter::Usage UsageMeter::end_quiet(std::chrono::nanoseconds took) {
  constexpr auto kLongestUnread = std::chrono::microseconds(100);
  if (!last_reading.at || unread_ + took > kLongestUnread) return end();
  const std::uint64_t before = whole_us(unread_);
  unread_ += took;
  return {.cpu_us = whole_us(unread_) - before, .max_rss_bytes = resident_bytes};
}

}  // namespace libtask::detail

#include "sys/oom.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "sys/cgroup.h"
#include "sys/fd.h"

namespace postpone::sys {
namespace {

constexpr const char* kScoreFile = "/proc/self/oom_score_adj";

std::optional<std::uint64_t> oom_kills_in(const std::string& path) {
  try {
    return counter_in(read_whole_file(path), "oom_kill");
  } catch (const std::system_error&) {  // no such file: the memory controller is not at work there
    return std::nullopt;
  }
}

bool rose(const std::optional<std::uint64_t>& from, const std::optional<std::uint64_t>& to) {
  return to && *to > from.value_or(0);
}

}  // namespace

std::optional<std::uint64_t> counter_in(std::string_view text, std::string_view name) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.size() <= name.size() || !line.starts_with(name) || line[name.size()] != ' ') continue;
    std::uint64_t number = 0;
    const char* const digits = line.data() + name.size() + 1;
    if (std::from_chars(digits, line.data() + line.size(), number).ec == std::errc{}) return number;
  }
  return std::nullopt;
}

OomWitness::OomWitness(std::string cgroup)
    : cgroup_(std::move(cgroup)), own_cgroup_(own_cgroup_directory().value_or("")) {
  look();
}

OomWitness::Counters OomWitness::read() const {
  Counters counters;
  if (!cgroup_.empty()) counters.cgroup = oom_kills_in(cgroup_ + "/memory.events");
  if (!own_cgroup_.empty()) counters.own_cgroup = oom_kills_in(own_cgroup_ + "/memory.events");
  counters.host = oom_kills_in("/proc/vmstat");
  return counters;
}

void OomWitness::look() {
  seen_ = read();
  seen_at_ = std::chrono::steady_clock::now();
}

std::chrono::nanoseconds OomWitness::age() const {
  return std::chrono::steady_clock::now() - seen_at_;
}

OomWitness::Verdict OomWitness::verdict() const {
  const Counters now = read();
  if (now.cgroup) return rose(seen_.cgroup, now.cgroup) ? Verdict::certain : Verdict::no;
  const bool somewhere = rose(seen_.own_cgroup, now.own_cgroup) || rose(seen_.host, now.host);
  return somewhere ? Verdict::probable : Verdict::no;
}

int oom_score_adj() {
  return std::atoi(read_whole_file(kScoreFile).c_str());
}

namespace {

Fd& open_score_file() {
  static Fd file;
  return file;
}

bool write_score(const std::string& path, int score) {
  try {
    write_file(path, std::to_string(score));
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

void keep_oom_score_open() {
  if (!keeps_oom_score_open()) open_score_file() = Fd(::open(kScoreFile, O_WRONLY | O_CLOEXEC));
}

bool keeps_oom_score_open() {
  return static_cast<bool>(open_score_file());
}

bool set_oom_score_adj(int score) {
  if (!keeps_oom_score_open()) return write_score(kScoreFile, score);
  const std::string text = std::to_string(score);
  return ::write(open_score_file().get(), text.data(), text.size()) >= 0;
}

bool set_oom_score_adj_of(pid_t process, int score) {
  return write_score("/proc/" + std::to_string(process) + "/oom_score_adj", score);
}

}  // namespace postpone::sys

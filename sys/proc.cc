#include "sys/proc.h"

#include <dirent.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <sstream>
#include <string>
#include <system_error>

#include "sys/fd.h"
#include "sys/process.h"

namespace postpone::sys {

namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

std::optional<pid_t> number_in(std::string_view text) {
  pid_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The entries of a directory that are numbers: processes, or threads. None when the process is gone. Throws
// std::system_error when the directory cannot be opened (no descriptor is left, say): an empty answer would
// be a lie.
std::vector<pid_t> numbered_entries(const std::string& path) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory && (errno == ENOENT || errno == ESRCH)) return numbers;
  if (!directory) throw_errno(path);
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (const auto number = number_in(entry->d_name)) numbers.push_back(*number);
  }
  return numbers;
}

// Nothing when the file cannot be read: a process may be gone at any moment.
std::optional<std::string> try_read(const std::string& path) {
  try {
    return read_whole_file(path);
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

bool is_gone(const std::system_error& error) {
  return error.code().value() == ENOENT || error.code().value() == ESRCH;
}

// Nothing when the file is gone, with its process. Any other reason is thrown.
std::optional<std::string> read_unless_gone(const std::string& path) {
  try {
    return read_whole_file(path);
  } catch (const std::system_error& error) {
    if (is_gone(error)) return std::nullopt;
    throw;
  }
}

std::string proc_path(pid_t pid, const std::string& file) {
  return "/proc/" + std::to_string(pid) + file;
}

}  // namespace

// Fields behind the name, counted from the state as proc(5) does, which calls it 3.
std::optional<Standing> standing_in_stat(std::string_view stat) {
  constexpr int kStarted = 22;
  const auto name_end = stat.rfind(") ");
  if (name_end == std::string_view::npos) return std::nullopt;
  std::istringstream rest{std::string(stat.substr(name_end + 2))};
  Standing standing;
  if (!(rest >> standing.state >> standing.parent)) return std::nullopt;
  std::string skipped;
  for (int field = 5; field < kStarted; ++field) rest >> skipped;
  if (!(rest >> standing.started)) return std::nullopt;
  return standing;
}

std::optional<Standing> standing_of(pid_t pid) {
  const auto stat = read_unless_gone(proc_path(pid, "/stat"));
  return stat ? standing_in_stat(*stat) : std::nullopt;
}

bool is_hidden(pid_t pid) {
  return ::access(proc_path(pid, "/stat").c_str(), F_OK) != 0 && errno == ENOENT;
}

std::optional<std::vector<pid_t>> listed_children(pid_t parent) {
  std::vector<pid_t> children;
  for (const pid_t thread : numbered_entries(proc_path(parent, "/task"))) {
    const auto list = try_read(proc_path(parent, "/task/" + std::to_string(thread) + "/children"));
    if (!list) return std::nullopt;
    std::istringstream words(*list);
    for (pid_t child = 0; words >> child;) children.push_back(child);
  }
  return children;
}

std::vector<pid_t> scanned_children(pid_t parent) {
  std::vector<pid_t> children;
  for (const pid_t pid : numbered_entries("/proc")) {
    const auto standing = standing_of(pid);
    if (standing && standing->parent == parent) children.push_back(pid);
  }
  return children;
}

std::int64_t resident_bytes(pid_t pid) {
  const auto statm = try_read(proc_path(pid, "/statm"));
  if (!statm) return 0;
  std::istringstream words(*statm);
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  words >> total_pages >> resident_pages;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

// Fields of /proc/PID/stat behind the name, counted from the state as proc(5) does, which calls it 3.
ProcessUse use_of(pid_t pid) {
  const auto stat = try_read(proc_path(pid, "/stat"));
  const auto name_end = stat ? stat->rfind(") ") : std::string::npos;
  if (name_end == std::string::npos) return {};
  std::istringstream words(stat->substr(name_end + 2));
  std::string word;
  ProcessUse use;
  std::int64_t ticks = 0;
  for (int field = 3; field <= 24 && words >> word; ++field) {
    if (field >= 14 && field <= 17) ticks += std::stoll(word);  // utime, stime, cutime, cstime
    if (field == 24) use.resident_bytes = std::stoll(word) * ::sysconf(_SC_PAGESIZE);
  }
  use.cpu_time = std::chrono::nanoseconds(ticks * (1'000'000'000 / ::sysconf(_SC_CLK_TCK)));
  return use;
}

std::int64_t resident_bytes_of_descendants(pid_t ancestor) {
  std::int64_t bytes = 0;
  for (const pid_t child : children_of(ancestor))
    bytes += resident_bytes(child) + resident_bytes_of_descendants(child);
  return bytes;
}

}  // namespace postpone::sys

#include "sys/cgroup.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

#include "sys/fd.h"
#include "sys/logger.h"

namespace postpone::sys {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(1);
constexpr auto kStep = std::chrono::milliseconds(1);

// The kernel reads what one write() brings; there is no such thing as a half-written file.
bool write_word(const std::string& file, const std::string& word) {
  try {
    write_file(file, word);
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

std::vector<std::string> beneath(const std::string& directory) {
  std::vector<std::string> directories;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    if (entry.is_directory(ignored)) directories.push_back(entry.path());
  return directories;
}

// Locks a cgroup that no process holds, so that it may be ended. None if it is held or gone.
Fd claim_unheld(const std::string& directory) {
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
  return fd;
}

bool is_populated(const std::string& directory) {
  try {
    return read_whole_file(directory + "/cgroup.events").find("populated 1") != std::string::npos;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

std::optional<std::string> cgroup_in(const std::string& proc_self_cgroup) {
  std::istringstream lines(proc_self_cgroup);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return std::nullopt;
}

// "40 30 0:37 /root /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw": the optional fields before the
// dash may be none or many.
std::optional<CgroupMount> cgroup_mount_in(const std::string& proc_self_mountinfo) {
  std::istringstream lines(proc_self_mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const auto dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    std::istringstream words(line.substr(0, dash));
    std::string id, parent, device;
    CgroupMount mount;
    if (words >> id >> parent >> device >> mount.root >> mount.directory) return mount;
  }
  return std::nullopt;
}

std::optional<std::string> own_cgroup_directory() {
  try {
    const auto path = cgroup_in(read_whole_file("/proc/self/cgroup"));
    const auto mount = cgroup_mount_in(read_whole_file("/proc/self/mountinfo"));
    if (!path || !mount) return std::nullopt;
    // A container may see no more than its own part of the hierarchy.
    std::string beneath_mount = *path;
    if (mount->root != "/" && path->starts_with(mount->root))
      beneath_mount = path->substr(mount->root.size());
    std::string directory = mount->directory + beneath_mount;
    while (directory.ends_with('/')) directory.pop_back();
    return directory;
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

bool make_cgroup(const std::string& directory) {
  return ::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST;
}

bool enter_cgroup(const std::string& directory) {
  return write_word(directory + "/cgroup.procs", "0");
}

bool is_delegated_cgroup(const std::string& directory) {
  char value = 0;
  for (const char* name : {"user.delegate", "trusted.delegate"})
    if (::getxattr(directory.c_str(), name, &value, sizeof value) == 1 && value == '1') return true;
  return false;
}

bool share_memory_controller(const std::string& directory) {
  return write_word(directory + "/cgroup.subtree_control", "+memory");
}

// Without the swap it would be a limit of nothing.
bool limit_cgroup_memory(const std::string& directory, std::int64_t bytes) {
  write_word(directory + "/memory.swap.max", bytes > 0 ? "0" : "max");
  return write_word(directory + "/memory.max", bytes > 0 ? std::to_string(bytes) : "max");
}

bool kill_cgroup(const std::string& directory) {
  return write_word(directory + "/cgroup.kill", "1");
}

void remove_cgroup(const std::string& directory) {
  for (const std::string& child : beneath(directory)) ::rmdir(child.c_str());
  ::rmdir(directory.c_str());
}

Fd hold_cgroup(const std::string& directory) {
  const auto until = Clock::now() + kPatience;
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  while (fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0) {
    if (Clock::now() >= until) fd.reset();
    std::this_thread::sleep_for(kStep);
  }
  // A process that was ending the cgroup held the lock meanwhile, and may have removed the directory.
  struct stat now {};
  if (fd && ::stat(directory.c_str(), &now) != 0) fd.reset();
  return fd;
}

bool end_unheld_cgroups(const std::string& directory, const std::string& prefix) {
  const auto until = Clock::now() + kPatience;
  bool all_ended = true;
  for (const std::string& family : beneath(directory)) {
    if (!std::filesystem::path(family).filename().string().starts_with(prefix)) continue;
    const Fd of_family = claim_unheld(family);
    if (!of_family) continue;
    for (const std::string& child : beneath(family)) {
      const Fd of_child = claim_unheld(child);
      if (!of_child) continue;
      if (is_populated(child)) {
        log.warn("killing processes in {} that a dead family has left", child);
        kill_cgroup(child);
      }
      while (is_populated(child) && Clock::now() < until) std::this_thread::sleep_for(kStep);
      all_ended &= !is_populated(child);
      ::rmdir(child.c_str());
    }
    ::rmdir(family.c_str());
  }
  return all_ended;
}

}  // namespace postpone::sys

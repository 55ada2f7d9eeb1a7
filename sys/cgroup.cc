#include "sys/cgroup.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <vector>

#include "sys/fd.h"

namespace postpone::sys {
namespace {

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

}  // namespace postpone::sys

// Control groups (version 2), for as much as this process may use them: a set of processes that nothing
// leaves by forking, and that is killed as one. Where there is no such hierarchy, or no right to it, these
// functions say so, and their callers do without: process groups and the subreaper go on doing what they can.
//
// What stays behind are empty directories; remove_cgroup() takes them away.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sys/fd.h"

namespace postpone::sys {

// The directory of the cgroup that this process lives in; nothing when no hierarchy of version 2 is mounted.
std::optional<std::string> own_cgroup_directory();

// The path after "0::" in the text of /proc/self/cgroup. Pure.
std::optional<std::string> cgroup_in(const std::string& proc_self_cgroup);

// Where a hierarchy of version 2 is mounted, from the text of /proc/self/mountinfo: the mount point, and
// which path of the hierarchy it shows. Pure.
struct CgroupMount {
  std::string directory;
  std::string root;
};
std::optional<CgroupMount> cgroup_mount_in(const std::string& proc_self_mountinfo);

// Makes a cgroup. False when that is not permitted or not possible; one that is there already is fine.
bool make_cgroup(const std::string& directory);

// Moves this process there. False when that is not permitted.
bool enter_cgroup(const std::string& directory);

// Whether a service manager (systemd: Delegate=) has handed this cgroup, and all beneath it, to its
// processes.
bool is_delegated_cgroup(const std::string& directory);

// Lets the cgroups beneath this one have memory limits and counters. False when the kernel refuses: a process
// lives in this one, or it has no such limits itself.
bool share_memory_controller(const std::string& directory);

// No process in it may make it use more than so many bytes; the kernel kills then. 0 = no limit. False when
// it has no memory controller.
bool limit_cgroup_memory(const std::string& directory, std::int64_t bytes);

// SIGKILL for everything in it and beneath it, at once (cgroup.kill, since Linux 5.14). False when that did
// not work.
bool kill_cgroup(const std::string& directory);

// Removes it and the cgroups right beneath it, as far as they are empty.
void remove_cgroup(const std::string& directory);

// Marks a cgroup as in use, until every copy of the descriptor is closed (so also when the last holder dies).
// None if the cgroup is gone, or another process is ending it or keeps it locked for a second.
Fd hold_cgroup(const std::string& directory);

// Ends what holders have left when they died. It looks at each cgroup right beneath `directory` whose name
// begins so and that no process holds, kills what lives in those of its children that no process holds, and
// removes what is empty then. Logs where something was killed, and waits for its end, a second at most. False
// when something lives all the same. Safe to be called by many processes at once.
bool end_unheld_cgroups(const std::string& directory, const std::string& prefix);

}  // namespace postpone::sys

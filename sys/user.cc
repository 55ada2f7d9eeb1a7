// The users that processes run as, and what processes of one user may see of each other.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "sys/oom.h"
#include "sys/process.h"

namespace postpone::sys {
namespace {

constexpr int kMostGroups = 65'536;
constexpr std::size_t kFirstTextBytes = 4096;

// getpwnam(3) has all of these for a name that is not known. Where a service cannot be asked for want of a
// descriptor (nsswitch.conf), the next one is, and its "no" counts: so a descriptor has to be left.
bool says_there_is_none(int error) {
  const bool known = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  return known && Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

// The capabilities named so in /proc/self/status; none when that cannot be read.
std::uint64_t capabilities(const std::string& name) {
  try {
    const std::string status = read_whole_file("/proc/self/status");
    const auto line = status.find("\n" + name + ":\t");
    if (line == std::string::npos) return 0;
    return std::strtoull(status.c_str() + line + name.size() + 3, nullptr, 16);
  } catch (const std::system_error&) {
    return 0;
  }
}

bool can_change_users() {
  constexpr std::uint64_t kKill = 1U << 5U;
  constexpr std::uint64_t kSetGid = 1U << 6U;
  constexpr std::uint64_t kSetUid = 1U << 7U;
  constexpr std::uint64_t kAll = kKill | kSetGid | kSetUid;
  return (capabilities(::geteuid() == 0 ? "CapEff" : "CapAmb") & kAll) == kAll;
}

bool is_built_to_be_inspected() {
#ifdef __SANITIZE_ADDRESS__
  return true;  // the leak checker attaches to its own process
#else
  return false;
#endif
}

}  // namespace

std::optional<User> find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> texts(kFirstTextBytes);
  int error = 0;
  while ((error = ::getpwnam_r(name.c_str(), &entry, texts.data(), texts.size(), &found)) == ERANGE)
    texts.resize(2 * texts.size());
  if (!found && !says_there_is_none(error))
    throw std::system_error(error != 0 ? error : errno, std::generic_category(),
                            "cannot look up the user \"" + name + "\"");
  if (!found) return std::nullopt;
  User user{name, entry.pw_dir, entry.pw_uid, entry.pw_gid, std::vector<gid_t>(kMostGroups)};
  int count = kMostGroups;
  if (::getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) count = kMostGroups;
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

bool may_start_as(const User& user) {
  return (user.uid == ::geteuid() && user.gid == ::getegid()) || can_change_users();
}

void forbid_inspection() {
  const char* wish = std::getenv("POSTPONE_DUMPABLE");
  if (is_built_to_be_inspected() || (wish != nullptr && std::string_view(wish) == "1")) return;
  keep_oom_score_open();
  ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace postpone::sys

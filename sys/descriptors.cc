#include "sys/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>

namespace postpone::sys {

namespace {

// Nothing when the descriptor is closed (errno is ENOENT), or when we may not look.
std::optional<std::string> target_of(int directory, std::size_t descriptor) {
  std::array<char, 256> target;
  const ssize_t size =
      ::readlinkat(directory, std::to_string(descriptor).c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  return std::string(target.data(), static_cast<std::size_t>(size));
}

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

}  // namespace

StandardDescriptors::StandardDescriptors(pid_t process)
    : directory_(
          ::open(("/proc/" + std::to_string(process) + "/fd").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
      may_look_(static_cast<bool>(directory_)) {
  for (std::size_t i = 0; directory_ && i < targets_.size(); ++i) {
    errno = 0;
    targets_.at(i) = target_of(directory_.get(), i);
    may_look_ &= errno != EACCES && errno != EPERM;
  }
}

std::string StandardDescriptors::change() const {
  for (std::size_t i = 0; directory_ && i < targets_.size(); ++i) {
    errno = 0;
    const auto target = target_of(directory_.get(), i);
    if (target == targets_.at(i)) continue;
    if (target) return "descriptor " + std::to_string(i) + " is " + *target;
    if (errno == ENOENT) return "descriptor " + std::to_string(i) + " is closed";
  }
  return "";
}

std::optional<long> free_descriptors(pid_t process) {
  rlimit limit{};
  const std::string path = "/proc/" + std::to_string(process) + "/fd";
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (!directory || ::prlimit(process, RLIMIT_NOFILE, nullptr, &limit) != 0) return std::nullopt;
  long open = 0;
  while (const dirent* const entry = ::readdir(directory.get())) open += entry->d_name[0] == '.' ? 0 : 1;
  const auto most = std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int>::max());
  return static_cast<long>(most) - open;
}

}  // namespace postpone::sys

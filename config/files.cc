// What a configuration names of the host: files, sockets, users and groups.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/readers.h"

namespace postpone::config {
namespace {

constexpr std::array<std::string_view, 4> kMadeAtTheStart{"/run/", "/var/run/", "/var/log/postpone/",
                                                          "/var/lib/postpone/"};

// The path, without "/./". ("a/.." stays: a may be a symbolic link.)
std::string beneath(const std::string& directory, const std::string& name) {
  std::filesystem::path path;
  for (const auto& part : std::filesystem::path(directory) / name)
    if (part != ".") path /= part;
  return path;
}

// A service manager makes these directories when it starts the service (RuntimeDirectory=, LogsDirectory= and
// StateDirectory= of packaging/postpone@.service.in), so a check before that misses them.
bool is_made_at_the_start(const std::string& directory) {
  return std::any_of(kMadeAtTheStart.begin(), kMadeAtTheStart.end(),
                     [&](std::string_view above) { return directory.starts_with(above); });
}

// What of a file's directory keeps the file from being made; empty = nothing that can be seen from here.
std::string why_no_directory(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  if (is_made_at_the_start(directory)) return {};
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    return errno == ENOENT || errno == ENOTDIR ? "there is no directory " + directory : "";
  return S_ISDIR(status.st_mode) ? "" : directory + " is no directory";
}

bool has_directory(const Value& value, const std::string& path) {
  if (value.files == Files::trust) return true;
  const std::string why = why_no_directory(path);
  if (!why.empty()) value.reject(why);
  return why.empty();
}

// What keeps a file from being started as a program; empty = nothing.
std::string why_not_executable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::strerror(errno);
  if (S_ISDIR(status.st_mode)) return "is a directory, not a program";
  if (!S_ISREG(status.st_mode)) return "is not a regular file";
  if (::access(path.c_str(), X_OK) != 0) return "is not executable for this user (chmod +x?)";
  return {};
}

// Where a service cannot be asked for want of a descriptor (nsswitch.conf), the next one is, and its "no"
// counts.
bool a_descriptor_is_left() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// Whether the host says that there is none of that name. It may be unable to say: no descriptor is left, or a
// directory service does not answer yet, as at boot. Then the name passes here, and is looked up again when
// it is needed.
template <class Entry, class Look>
bool is_unknown(const std::string& name, Look look) {
  Entry entry{};
  Entry* found = nullptr;
  std::vector<char> texts(4096);
  int error = 0;
  while ((error = look(name.c_str(), &entry, texts.data(), texts.size(), &found)) == ERANGE)
    texts.resize(2 * texts.size());
  const bool answered = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  return !found && answered && a_descriptor_is_left();
}

bool is_same_file(const struct stat& file, const std::string& path) {
  struct stat other {};
  return !path.empty() && ::stat(path.c_str(), &other) == 0 && other.st_dev == file.st_dev &&
         other.st_ino == file.st_ino;
}

}  // namespace

std::optional<std::string> executable(const Value& value) {
  const auto name = text(value);
  if (!name) return std::nullopt;
  if (name->empty()) {
    value.reject("must not be empty");
    return std::nullopt;
  }
  std::string path = beneath(value.directory, *name);
  if (value.files == Files::trust) return path;
  if (const std::string why = why_not_executable(path); !why.empty()) {
    value.reject(path + ": " + why);
    return std::nullopt;
  }
  return path;
}

// The path of a Unix socket. The kernel takes no longer one.
std::optional<std::string> socket_path(const Value& value) {
  const auto name = text(value);
  if (!name || name->empty()) return name;
  std::string path = beneath(value.directory, *name);
  constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= kLongestPath) return has_directory(value, path) ? std::optional(path) : std::nullopt;
  value.reject(path + " is too long for a Unix socket, which has at most " + std::to_string(kLongestPath) +
               " bytes");
  return std::nullopt;
}

// "0660", as chmod takes it.
std::optional<int> file_mode(const Value& value) {
  const auto digits = text(value);
  if (!digits) return std::nullopt;
  const bool is_octal = digits->size() >= 3 && digits->size() <= 4 &&
                        digits->find_first_not_of("01234567") == std::string::npos;
  const int mode = is_octal ? std::stoi(*digits, nullptr, 8) : -1;
  if (mode >= 0 && mode <= 0777) return mode;
  value.expected("a file mode in octal digits such as \"0660\"");
  return std::nullopt;
}

std::optional<std::string> system_group(const Value& value) {
  auto name = text(value);
  if (!name || name->empty() || value.files == Files::trust) return name;
  if (!is_unknown<group>(*name, ::getgrnam_r)) return name;
  value.reject("there is no group " + in_quotes(*name) + " on this host");
  return std::nullopt;
}

std::optional<std::string> system_user(const Value& value) {
  auto name = text(value);
  if (!name || name->empty() || value.files == Files::trust) return name;
  if (!is_unknown<passwd>(*name, ::getpwnam_r)) return name;
  value.reject("there is no user " + in_quotes(*name) + " on this host");
  return std::nullopt;
}

std::string other_use_of_log_file(const Config& config, const std::string& path) {
  const std::string& log = config.log.file;
  const std::string& socket = config.status.socket;
  if (!log.empty() && !socket.empty() && (log == socket || log == socket + ".lock"))
    return "the status socket or its lock";
  struct stat file {};
  if (log.empty() || ::stat(log.c_str(), &file) != 0) return {};
  if (is_same_file(file, path)) return "this configuration";
  for (const Group& group : config.groups)
    if (is_same_file(file, group.executable)) return "the task executable of group " + in_quotes(group.name);
  if (!socket.empty() && (is_same_file(file, socket) || is_same_file(file, socket + ".lock")))
    return "the status socket or its lock";
  return {};
}

// Whether the file can be written is not asked here: another user opens it, as a rule.
std::optional<std::string> log_file(const Value& value) {
  auto name = text(value);
  if (!name || name->empty()) return name;
  if (name->back() != '/') {
    std::string path = beneath(value.directory, *name);
    return has_directory(value, path) ? std::optional(std::move(path)) : std::nullopt;
  }
  value.reject(in_quotes(*name) + " is a directory, not a file");
  return std::nullopt;
}

}  // namespace postpone::config

#include "supervisor/status/socket_file.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace postpone::supervisor::status {
namespace {

constexpr int kBacklog = 128;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw std::runtime_error("status socket " + path + ": " + why);
}
[[noreturn]] void refuse_for_good(const std::string& path, const std::string& why) {
  throw SocketMistake("status socket " + path + ": " + why);
}

bool may_pass(int error_number) {
  constexpr std::array kPassing{EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC, EDQUOT, EIO, EINTR, EAGAIN};
  return std::find(kPassing.begin(), kPassing.end(), error_number) != kPassing.end();
}

[[noreturn]] void refuse_errno(const std::string& path, const std::string& step) {
  const int error_number = errno;
  const std::string why = step + ": " + std::strerror(error_number);
  if (may_pass(error_number)) refuse(path, why);
  refuse_for_good(path, why);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) refuse_for_good(path, "the path is too long for a Unix socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Throws unless no process listens: only a refused connection says so. (EAGAIN: one listens and has a full
// backlog; EPROTOTYPE: one listens for datagrams; EACCES says nothing.)
void make_sure_that_it_is_stale(const std::string& path) {
  const sys::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) refuse_errno(path, "cannot make a socket");
  const sockaddr_un address = address_of(path);
  const bool answered =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (answered || errno == EAGAIN || errno == EPROTOTYPE)
    refuse(path, "another program listens there; choose another path");
  if (errno != ECONNREFUSED && errno != ENOENT)
    refuse_errno(path, "a socket lies there, and we cannot find out whether a program listens on it");
}

// The socket itself, whatever takes its place in the directory.
sys::Fd hold(const std::string& path) {
  return sys::Fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

std::string by_descriptor(const sys::Fd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

// The process that wrote its number into the lock file; for a message.
std::string owner_of(int lock_fd) {
  char text[32] = {};
  const ssize_t n = ::pread(lock_fd, text, sizeof text - 1, 0);
  return n > 0 && text[0] >= '0' && text[0] <= '9'
             ? " (pid " + std::string(text, std::strcspn(text, "\n")) + ")"
             : "";
}

}  // namespace

SocketFile::SocketFile(std::string path, int mode, const std::string& group) : path_(std::move(path)) {
  lock();
  clear_path();
  bind_and_listen(mode, group);
}

SocketFile::~SocketFile() {
  if (is_there()) ::unlink(path_.c_str());
}

bool SocketFile::is_there() const {
  struct stat now {};
  return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_;
}

void SocketFile::lock() {
  const std::string name = path_ + ".lock";
  lock_.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!lock_)
    refuse_errno(path_, "cannot open " + name + " (is the directory there, and may this user write to it?)");
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) refuse_errno(path_, "cannot lock " + name);
    refuse(path_, "another supervisor" + owner_of(lock_.get()) +
                      " has it; give each its own path in [status] socket");
  }
  // Another program's file may bear that name.
  struct stat found {};
  char first = '0';
  const bool read = ::fstat(lock_.get(), &found) == 0 && ::pread(lock_.get(), &first, 1, 0) >= 0;
  if (!read || !S_ISREG(found.st_mode) || found.st_nlink != 1 || found.st_size > 32 || first < '0' ||
      first > '9')
    refuse_for_good(path_, name + " is no lock file of a supervisor's; choose another path for the socket");
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_.get(), 0) != 0 || ::pwrite(lock_.get(), pid.data(), pid.size(), 0) < 0)
    refuse_errno(path_, "cannot write to " + name);
}

void SocketFile::clear_path() const {
  struct stat found {};
  if (::lstat(path_.c_str(), &found) != 0) {
    if (errno != ENOENT) refuse_errno(path_, "cannot look at it");
    return;
  }
  if (!S_ISSOCK(found.st_mode))
    refuse_for_good(path_, "a file that is no socket lies there; remove it or choose another path");
  make_sure_that_it_is_stale(path_);
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) refuse_errno(path_, "cannot remove the stale socket");
}

// No client may connect before group and mode are as they should be: until then it belongs to this user
// alone, and no process listens.
void SocketFile::bind_and_listen(int mode, const std::string& group) {
  errno = 0;
  const ::group* entry = group.empty() ? nullptr : ::getgrnam(group.c_str());
  if (!group.empty() && entry == nullptr) {
    const bool answered = errno == 0 || errno == ENOENT || errno == ESRCH || errno == EBADF || errno == EPERM;
    if (!answered) refuse_errno(path_, "cannot look up the group " + group);
    refuse_for_good(path_, "there is no group " + group);
  }
  socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) refuse_errno(path_, "cannot make a socket");
  const sockaddr_un address = address_of(path_);
  const mode_t before = ::umask(0177);
  const int bound = ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0) refuse_errno(path_, "cannot bind");
  const sys::Fd held = hold(path_);
  struct stat made {};
  if (!held || ::fstat(held.get(), &made) != 0) refuse_errno(path_, "cannot look at it");
  if (!S_ISSOCK(made.st_mode)) refuse(path_, "another process has put something else in its place");
  device_ = made.st_dev;
  inode_ = made.st_ino;
  const bool owned =
      entry == nullptr || ::chown(by_descriptor(held).c_str(), static_cast<uid_t>(-1), entry->gr_gid) == 0;
  const bool done = owned && ::chmod(by_descriptor(held).c_str(), static_cast<mode_t>(mode)) == 0 &&
                    ::listen(socket_.get(), kBacklog) == 0;
  if (done) return;
  const int error = errno;
  if (is_there()) ::unlink(path_.c_str());
  errno = error;
  refuse_errno(path_, owned ? "cannot set its mode and listen" : "cannot give it to group " + group);
}

}  // namespace postpone::supervisor::status

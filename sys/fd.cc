#include "sys/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace postpone::sys {

namespace {

void write_whole(int fd, std::string_view text, const char* what) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw_errno(what);
    }
  }
}

std::string read_to_end(int fd, const std::string& what) {
  std::string text;
  std::array<char, 16'384> chunk;
  for (;;) {
    const ssize_t got = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
    if (got == 0) return text;
    if (got > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      throw_errno(what);
    }
  }
}

}  // namespace

void throw_errno(const std::string& what) {
  const int error = errno;
  throw std::system_error(error, std::generic_category(), what);
}

Fd duplicate(int fd, int lowest) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, lowest));
  if (!copy) throw_errno("fcntl F_DUPFD_CLOEXEC");
  return copy;
}

// close() is not repeated after EINTR: Linux has let go of the number by then, and another thread may have it
// already.
void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

FdPair make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) throw_errno("cannot make a pipe");
  return {Fd(fds[0]), Fd(fds[1])};
}

FdPair make_socketpair(int type) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds.data()) != 0)
    throw_errno("cannot make a socket pair");
  return {Fd(fds[0]), Fd(fds[1])};
}

void set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw_errno("cannot make a descriptor non-blocking");
  }
}

Fd make_sealed_memfd(const char* name, std::string_view text) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) throw_errno("cannot make a file in memory");
  write_whole(fd.get(), text, "cannot fill a file in memory");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    throw_errno("cannot seal a file in memory");
  }
  return fd;
}

std::string read_whole(int fd) {
  return read_to_end(fd, "cannot read descriptor " + std::to_string(fd));
}

std::string read_whole_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_errno("cannot read " + path);
  return read_to_end(fd.get(), "cannot read " + path);
}

std::string read_regular_file(const std::string& path, std::size_t most) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw_errno("cannot read " + path);
  if (!S_ISREG(status.st_mode)) {
    errno = EINVAL;
    throw_errno("cannot read " + path + ", which is no regular file");
  }
  if (static_cast<std::size_t>(status.st_size) > most) {
    errno = EFBIG;
    throw_errno("cannot read " + path);
  }
  return read_to_end(fd.get(), "cannot read " + path);
}

void write_file(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const ssize_t written = fd ? ::write(fd.get(), text.data(), text.size()) : -1;
  if (written < 0) throw_errno("cannot write to " + path);
}

}  // namespace postpone::sys

// File descriptors with an owner.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace postpone::sys {

// Owns one file descriptor and closes it. Move-only; -1 means "none". Every descriptor this program opens is
// close-on-exec: a child gets the descriptors it is meant to have from ProcessSpec::descriptors and no
// others.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

struct FdPair {
  Fd first;
  Fd second;
};

// Another descriptor of the same open file, close-on-exec; its number is `lowest` at least. Throws
// std::system_error.
Fd duplicate(int fd, int lowest = 0);

// A pipe: `first` is the reading end, `second` the writing end. Throws std::system_error.
FdPair make_pipe();

// Two connected Unix sockets of `type` (SOCK_STREAM or SOCK_SEQPACKET). Throws std::system_error.
FdPair make_socketpair(int type);

// Throws std::system_error.
void set_nonblocking(int fd);

// An anonymous file in memory that holds `text`, sealed against any change; inherited by descriptor number,
// so that there is nothing to unlink after kill -9. `name` shows up in /proc/PID/fd. Throws
// std::system_error.
Fd make_sealed_memfd(const char* name, std::string_view text);

// The whole content of a file, from its beginning, whatever the descriptor's offset. Throws
// std::system_error.
std::string read_whole(int fd);
std::string read_whole_file(const std::string& path);
// Never blocks: anything but a regular file (a FIFO without a writer, say) is an error, and so is a file of
// more than `most` bytes (EFBIG).
std::string read_regular_file(const std::string& path,
                              std::size_t most = std::numeric_limits<std::size_t>::max());

// Writes to a file that is there (one of the kernel's, say), with one write(). Throws std::system_error.
void write_file(const std::string& path, std::string_view text);

// An error for a failed system call: "<what>: <strerror(errno)>". Reads errno, so call it at once.
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace postpone::sys

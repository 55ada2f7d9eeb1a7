#include "sys/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace postpone::sys {

// From 0 on: open() gives the lowest number that is free, and those below are taken by then.
void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    if (::open("/dev/null", O_RDWR) == fd) continue;
    constexpr std::string_view kProblem =
        "cannot open /dev/null in the place of a standard descriptor that is closed; mount a /dev that has "
        "it\n";
    // Where standard error is closed, there is no place for it.
    [[maybe_unused]] const ssize_t written =
        fd == STDERR_FILENO ? 0 : ::write(STDERR_FILENO, kProblem.data(), kProblem.size());
    std::_Exit(EXIT_FAILURE);
  }
}

StandardOutput::StandardOutput() : before_(std::cout.rdbuf(this)) {
  setp(block_.data(), block_.data() + block_.size());
}

StandardOutput::~StandardOutput() {
  std::cout.rdbuf(before_);
}

int StandardOutput::flush() {
  write_out();
  return error_;
}

// After an error nothing more is written: a text with a hole in it would be worse than one that ends.
bool StandardOutput::write_out() {
  const char* from = pbase();
  while (error_ == 0 && from < pptr()) {
    const ssize_t written = ::write(STDOUT_FILENO, from, static_cast<std::size_t>(pptr() - from));
    if (written >= 0) {
      from += written;
    } else if (errno == EAGAIN) {  // a process that shares it with us has made it non-blocking
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  setp(block_.data(), block_.data() + block_.size());
  return error_ == 0;
}

StandardOutput::int_type StandardOutput::overflow(int_type c) {
  if (!write_out()) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

int StandardOutput::sync() {
  return write_out() ? 0 : -1;
}

}  // namespace postpone::sys

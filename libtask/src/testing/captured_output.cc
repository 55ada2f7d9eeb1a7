#include "captured_output.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <string_view>
#include <system_error>

namespace libtask::testing::detail {
namespace {

void flush_streams() {
  std::cout.flush();
  std::clog.flush();
  std::fflush(stdout);
  std::fflush(stderr);
}

int or_throw(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

std::string content_of(int memory) {
  std::string text;
  std::array<char, 65536> piece{};
  ssize_t size = 0;
  while ((size = pread(memory, piece.data(), piece.size(), static_cast<off_t>(text.size()))) > 0) {
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  return text;
}

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = write(descriptor, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

}  // namespace

CapturedOutput::CapturedOutput()
    : streams_{Stream{.descriptor = STDOUT_FILENO}, Stream{.descriptor = STDERR_FILENO}} {
  flush_streams();
  try {
    for (Stream& stream : streams_) begin(stream);
  } catch (...) {
    end();
    throw;
  }
}

CapturedOutput::~CapturedOutput() {
  end();
}

void CapturedOutput::begin(Stream& stream) {
  stream.memory = or_throw(memfd_create("captured output", MFD_CLOEXEC), "memory for captured output");
  const int saved = or_throw(fcntl(stream.descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "standard output");
  // O_APPEND: what another process writes does not overwrite what this one writes.
  or_throw(fcntl(stream.memory, F_SETFL, O_APPEND), "memory for captured output");
  stream.saved = saved;
  or_throw(dup2(stream.memory, stream.descriptor), "standard output");
}

void CapturedOutput::end() noexcept {
  flush_streams();
  for (Stream& stream : streams_) end(stream);
}

void CapturedOutput::end(Stream& stream) noexcept {
  if (stream.saved >= 0) {
    dup2(stream.saved, stream.descriptor);
    close(stream.saved);
    stream.saved = -1;
    stream.text = content_of(stream.memory);
    write_all(stream.descriptor, stream.text);
  }
  if (stream.memory >= 0) close(stream.memory);
  stream.memory = -1;
}

}  // namespace libtask::testing::detail

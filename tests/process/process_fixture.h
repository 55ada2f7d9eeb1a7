// What the tests of sys/process.h start, and where.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sys/process.h"

namespace postpone::sys {

inline constexpr auto kGenerous = std::chrono::seconds(30);
inline constexpr std::size_t kPlenty = 1 << 20;

inline ProcessSpec shell(const std::string& script) {
  return {.executable = "/bin/sh", .arguments = {"-c", script}};
}
inline ProcessSpec probe(std::vector<std::string> arguments) {
  return {.executable = POSTPONE_PROBE, .arguments = std::move(arguments)};
}

inline std::string output_of(const ProcessSpec& spec) {
  const Captured captured = run_and_capture(spec, kGenerous, kPlenty);
  EXPECT_EQ(captured.problem, "") << captured.diagnostics;
  return captured.output;
}

// Runs `story` in a forked copy of this process, so that it may change what a process cannot change back.
inline void in_a_child(const std::function<void()>& story) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    story();
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

inline std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

}  // namespace postpone::sys

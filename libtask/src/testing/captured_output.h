// What a process writes to stdout and stderr, caught in memory for a while.
#pragma once

#include <array>
#include <string>

namespace libtask::testing::detail {

// For one thread at a time: descriptors belong to the whole process.
class CapturedOutput {
 public:
  // From now on both go into memory. Throws std::system_error.
  CapturedOutput();
  // As end().
  ~CapturedOutput();
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;

  // Puts both back, and writes there what was caught. Nothing can fail that a test would want to know of.
  void end() noexcept;

  // Once it has ended.
  const std::string& out() const { return streams_[0].text; }
  const std::string& err() const { return streams_[1].text; }

 private:
  struct Stream {
    int descriptor;
    int saved = -1;
    int memory = -1;
    std::string text{};
  };
  static void begin(Stream& stream);
  static void end(Stream& stream) noexcept;

  std::array<Stream, 2> streams_;
};

}  // namespace libtask::testing::detail

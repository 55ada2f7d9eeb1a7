// What a job writes to stdout and stderr: cut into lines of bounded length, counted against what it may
// write, and the last lines of stderr kept for the attempts table. Passive: whoever reads the pipes feeds it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace postpone::subworker {

class Output {
 public:
  enum class Stream { out, err };
  using Sink = std::function<void(Stream, std::string_view line)>;

  static constexpr std::size_t kMaxLineBytes = 4096;  // a longer line is handed on in pieces
  static constexpr std::size_t kTailBytes = 2048;

  explicit Output(Sink sink) : sink_(std::move(sink)) {}

  // Takes what was read from a stream and hands on the lines that it completes.
  void append(Stream stream, std::string_view bytes);

  // A new job: forgets the tail and the count. An unfinished line of the job before was handed on by
  // finish().
  void start();
  // The job has ended: hands on lines without an end.
  void finish();

  std::int64_t bytes() const { return bytes_; }  // of this job
  std::string_view stderr_tail() const { return tail_; }

 private:
  void emit(Stream stream, std::string_view line);

  Sink sink_;
  std::array<std::string, 2> partial_;  // by Stream
  std::string tail_;
  std::int64_t bytes_ = 0;
};

}  // namespace postpone::subworker

// What a job writes to stdout and stderr: cut into lines of bounded length, counted against what it may
// write, and the end of stderr kept for the attempts table. Passive: OutputPipes feeds it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

namespace postpone::subworker {

class Output {
 public:
  enum class Stream { out, err };
  using Sink = std::function<void(Stream, std::string_view line)>;

  static constexpr std::size_t kMaxLineBytes = 4096;  // a longer line is handed on in pieces
  static constexpr std::size_t kTailBytes = 2048;
  // What a line costs besides its bytes: its head in the log, and the work for it. A job that writes nothing
  // but ends of lines would else fill a disk with a hundredth of what it may write.
  static constexpr std::int64_t kLineCost = 100;

  explicit Output(Sink sink) : sink_(std::move(sink)) {}

  // Takes what was read from a stream and hands on the lines that it completes.
  void append(Stream stream, std::string_view bytes);

  // A new job, or the time after one: forgets the tail and the counts. An unfinished line of before was
  // handed on by finish(). What costs more than `limit` in all is not handed on.
  void start(std::int64_t limit);
  // The job has ended: hands on lines without an end.
  void finish();

  // A line that did not come through a stream. False when it is beyond the limit, and not to be handed on.
  bool count_line(std::size_t bytes);

  // Bytes, and kLineCost for each line (or piece of one), since start().
  std::int64_t cost() const { return cost_; }
  std::int64_t dropped_bytes() const { return dropped_; }  // those that were not handed on

  // The last of what was written to stderr, as it was written: at most kTailBytes, not cut within a
  // character, and from the beginning of a line on when that leaves more than half.
  std::string_view stderr_tail() const;

 private:
  void emit(Stream stream, std::string_view line);

  Sink sink_;
  std::array<std::string, 2> partial_;  // by Stream
  std::string written_;                 // to stderr; of much only the end
  std::int64_t cost_ = 0;
  std::int64_t dropped_ = 0;
  std::int64_t limit_ = std::numeric_limits<std::int64_t>::max();
};

}  // namespace postpone::subworker

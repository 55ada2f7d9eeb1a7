// Jobs as lines of text: one JSON object each, as `postpone defer --stdin` reads them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "sql/job.h"

namespace postpone::cli {

struct LineProblem {
  std::size_t column = 1;  // in bytes, from 1
  std::string message;
};

// The job that a line describes. Keys: task, args (an object), queue, priority, lock, queueing_lock,
// scheduled_at, on_conflict, meta (an object); `defaults` has the value of a key that is missing, or null. The arguments are copied from the
// line as they stand there, so that no number changes. Pure.
std::variant<sql::DeferRequest, LineProblem> parse_job_line(std::string_view line,
                                                            const sql::DeferRequest& defaults);

// Whether there is nothing on the line but blanks.
bool is_blank(std::string_view line);

// Reads a descriptor line by line. It holds one block and one line in memory, however much there is to read.
class LineReader {
 public:
  static constexpr std::size_t kLongestLine = std::size_t{16} << 20U;

  explicit LineReader(int descriptor) : descriptor_(descriptor) {}

  enum class Next { line, end, too_long };
  // The next line, without its newline, valid until the next call. Throws std::system_error.
  Next next(std::string_view& line);

  // The length of all lines so far, with their newlines.
  std::size_t bytes() const { return bytes_; }

 private:
  bool fill();

  int descriptor_;
  std::string buffer_;
  std::size_t begin_ = 0;  // where the next line begins in the buffer
  std::size_t bytes_ = 0;
};

}  // namespace postpone::cli

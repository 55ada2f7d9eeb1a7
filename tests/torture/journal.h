// The journal of a torture run: what the tasks themselves say about who ran when, without the database and
// without Postpone.
//
// A line each, written with one write() to a file that was opened with O_APPEND, so that lines of different
// processes never mix and whatever was written survives every SIGKILL:
//
//   start 17 1 4242 123456789 kitchen     what, job, attempt, process, nanoseconds, lock ("-" = none)
//
// Every line is filled up with blanks to the same length, of which a page is a multiple: the kernel writes
// page by page, and a process that is killed between two pages has written half of what it meant to.
//
//   start   the handler has begun
//   beat    whoever writes this lives: the task process, every few milliseconds, or what it has forked away
//   end     the handler is about to return, that is to report success
//
// The clock is CLOCK_BOOTTIME: one for all processes of a host, never set back, and it runs on while the host
// sleeps. It is read before the line is written. So a line proves that its process lived at that moment, and
// two lines prove their order, however late they reached the file.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postpone::torture {

enum class Sign { start, beat, end };

struct JournalLine {
  Sign sign = Sign::start;
  std::int64_t job_id = 0;
  int attempt = 0;
  pid_t pid = 0;
  std::int64_t at_ns = 0;
  std::string lock = {};  // empty = none

  bool operator==(const JournalLine&) const = default;
};

std::int64_t boottime_ns();

inline constexpr std::size_t kLineBytes = 64;

// kLineBytes, with the line's end. Locks must not contain white space, nor be "-". Throws std::length_error
// for what does not fit.
std::string to_text(const JournalLine& line);
// Nothing when it is no line of a journal.
std::optional<JournalLine> parse_line(std::string_view text);

// A whole journal, in the order in which it was written. Throws std::runtime_error for a line that is none:
// with whole lines in one write() there can be no torn ones.
std::vector<JournalLine> read_journal(const std::string& path);

// The writing end, for task processes. One for each process; safe to use from several threads, and in the
// child after a fork().
class JournalWriter {
 public:
  explicit JournalWriter(const std::string& path);  // Throws std::system_error.
  // Throws std::system_error.
  void write(Sign sign, std::int64_t job_id, int attempt, const std::string& lock) const;

 private:
  int fd_;  // stays open for as long as the process lives
};

}  // namespace postpone::torture

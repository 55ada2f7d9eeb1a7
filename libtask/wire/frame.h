// The channel between a sub-worker and its task process: frames over a Unix stream socket. docs/protocol.md
// is the specification; this page is its code. Standard library only: libtask is built from it.
//
// A frame is: length (u32, of what follows), type (u8), body. Integers are little-endian; a text is a u32
// length and its bytes.
//
//   task process ──▶ sub-worker          sub-worker ──▶ task process
//   hello (once, first)                  welcome | refuse (once, the answer to hello)
//   progress (while a job runs)          run (one job at a time) | runs (a set of jobs, see ledger.h)
//   value (before a result, at most once) abort (of the running job)
//   result (once for each of these)
//   log (while a job runs)
//   stack (while a job runs, once for each signal that asks for it)
//                                        (end of file: exit)
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace libtask::wire {

inline constexpr std::uint32_t kMagic = 0x5050544b;  // "PPTK"
// Raised by any change that an older reader would misread.
inline constexpr std::uint16_t kProtocolVersion = 3;
// A sub-worker serves task processes of older versions, too, and speaks theirs: see encode() and Decoder.
inline constexpr std::uint16_t kOldestProtocolVersion = 1;
inline constexpr std::uint16_t kFirstVersionWithSets = 2;
constexpr bool is_served(int protocol_version) {
  return protocol_version >= kOldestProtocolVersion && protocol_version <= kProtocolVersion;
}
// The descriptor that a task process inherits, and the environment variable with its number: where that is
// set, a sub-worker serves the process.
inline constexpr int kChannelFd = 3;
inline constexpr const char* kChannelVariable = "POSTPONE_TASK_CHANNEL";
inline constexpr std::uint32_t kMaxFrameBytes = 16 * 1024 * 1024;

struct Hello {
  std::uint32_t magic = kMagic;
  std::uint16_t protocol_version = kProtocolVersion;
  std::string libtask_version{};
  std::string description{};  // the JSON text of --describe
};
struct Welcome {};
struct Refuse {
  std::string reason{};
};
struct Run {
  std::int64_t job_id = 0;
  std::int32_t attempt = 1;  // 1 = the first
  std::string task{};
  std::string queue{};
  std::int32_t priority = 0;
  std::string lock{};              // empty = none
  std::string args{};              // JSON text
  std::int64_t time_limit_ms = 0;  // 0 = none
  // Both from version 3 on. The time that the job had to wait for, in µs since 1970; nothing = it was ready at once.
  std::optional<std::int64_t> scheduled_at_us{};
  // Beside the arguments: JSON text of an object; empty = nothing. In the tail, so that a job without it costs nothing.
  std::string meta{};
  // Whose handler has deferred this job; nothing = an application, a schedule or a person. In the tail, too.
  std::optional<std::int64_t> deferred_by{};
};
// A set: jobs that run one after the other, of which the ledger says how far they are. Its result is that of
// the job at which it ends. Only from version 2 on, and only to a process that has a ledger.
struct Runs {
  std::uint32_t set = 0;            // as it stands in the ledger's cursor
  std::uint64_t max_rss_bytes = 0;  // a job in which the process was larger ends the set; 0 = none does
  std::vector<Run> runs{};
};
struct Abort {
  std::int64_t job_id = 0;
  enum class Reason : std::uint8_t { requested, time_limit, shutdown } reason = Reason::requested;
};
struct Progress {
  std::int64_t job_id = 0;
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // 0 = unknown
  std::string note{};       // in the tail
};
// What the job has given back: comes before its result frame, and counts if that says that it has succeeded.
struct Value {
  std::int64_t job_id = 0;
  std::string json{};
};
struct DeferredJob {
  std::string task{};
  std::string args{};  // JSON text
  std::string queue{};
  std::int32_t priority = 0;
  std::optional<std::string> lock{};
  std::optional<std::string> queueing_lock{};
  std::int64_t delay_us = 0;  // scheduled so long after now
  std::string meta{};         // in the tail; JSON text of an object; empty = that of the job which defers it
};
enum class ResultStatus : std::uint8_t { succeeded, exception, bad_arguments, unknown_task, aborted };
struct Result {
  std::int64_t job_id = 0;
  ResultStatus status = ResultStatus::succeeded;
  std::string exception_type{};  // with `exception`: the demangled type
  std::string message{};
  // With `aborted`: why should_abort() was true: an abort, the time limit or (shutdown) a SIGTERM; nothing
  // when the handler gave up by itself.
  std::optional<Abort::Reason> abort_reason{};
  // With `exception`: false when the retry strategy names exception types and this is none of them.
  bool retryable = true;
  // With `exception`: the handler asked for a retry after that time (libtask::Retry), whatever the strategy
  // says.
  std::optional<std::int64_t> retry_in_us{};
  // From version 3 on, with a `retry_in_us`: does this attempt count against max_attempts, and what does the
  // retry change?
  bool retry_counts = true;
  std::optional<std::int32_t> retry_priority{};
  std::optional<std::string> retry_queue{};
  std::optional<std::string> retry_lock{};
  std::uint64_t cpu_us = 0;           // used by this job
  std::uint64_t max_rss_bytes = 0;    // peak while this job ran
  std::vector<DeferredJob> defers{};  // with `succeeded`: to be created together with the success
};

// Where the handler is: the answer to the signal that the description names as its stack_signal. Sub-workers
// older than this frame do not send that signal.
struct Stack {
  std::int64_t job_id = 0;
  std::int32_t thread = 0;                 // the thread that runs the handler, as gettid() has it
  std::vector<std::uint64_t> addresses{};  // in code, innermost first; a caller's lies within its call
};
inline constexpr std::size_t kMaxStackFrames = 64;

// A line that the handler of a job logs. From version 3 on.
struct Log {
  std::int64_t job_id = 0;
  enum class Level : std::uint8_t { debug, info, warning, error } level = Level::info;
  std::string text{};
  std::string fields = "{}";  // JSON text of an object
};

using Frame = std::variant<Hello, Welcome, Refuse, Run, Abort, Progress, Result, Stack, Runs, Value, Log>;

// A peer does not speak this protocol. what() says in what that shows.
class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The bytes of a frame, length included, as a peer of this version reads it: what that version does not know
// is left out.
std::string encode(const Frame& frame, std::uint16_t version = kProtocolVersion);

// The bytes of a stack frame, made without memory from the heap, for a signal handler.
class StackBytes {
 public:
  // REQUIRES: count <= kMaxStackFrames.
  StackBytes(std::int64_t job_id, std::int32_t thread, const std::uint64_t* addresses,
             std::size_t count) noexcept;
  std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }

 private:
  template <std::integral T>
  void integer(T value) noexcept;

  std::array<char, 32 + 8 * kMaxStackFrames> bytes_;  // left uninitialised but for the first size_
  std::size_t size_ = 0;
};

// Cuts a stream of bytes into frames. append() what was read, then take next() until it returns nothing.
// next() throws ProtocolError for an impossible length, type or body; the decoder is of no more use then.
// Memory is bounded by kMaxFrameBytes.
class Decoder {
 public:
  // The version that the peer speaks from the next frame on. A hello reads the same in all of them.
  void set_version(std::uint16_t version) { version_ = version; }
  void append(std::string_view bytes) { buffer_.append(bytes); }
  std::optional<Frame> next();
  // Bytes of a frame that has begun and has not ended.
  std::size_t pending() const { return buffer_.size() - offset_; }

 private:
  std::string buffer_;
  std::size_t offset_ = 0;  // bytes of buffer_ that are consumed
  std::uint16_t version_ = kProtocolVersion;
};

}  // namespace libtask::wire

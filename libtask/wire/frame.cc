#include "libtask/wire/frame.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <type_traits>
#include <utility>

#include "libtask/wire/frame_bytes.h"
#include "libtask/wire/ledger.h"

namespace libtask::wire {
namespace {

// The numbers of docs/protocol.md. They never change; a new frame takes a new one.
enum class FrameType : std::uint8_t {
  hello = 1,
  welcome = 2,
  refuse = 3,
  run = 4,
  abort = 5,
  progress = 6,
  result = 7,
  stack = 8,
  runs = 9,
  value = 10,
  log = 11,
};

// What may stand behind the fields of a body: its tail.
enum class Tag : std::uint8_t {
  meta = 1,  // of each job in the body, in their order; empty = none
  note = 2,
  deferred_by = 3,  // of each job in the body, in their order: its number in decimal digits; empty = none
};

constexpr std::size_t kLengthBytes = 4;
constexpr std::uint16_t kVersion3 = 3;  // "from version 3 on" in frame.h

void write_tail(Writer& out, Tag tag, std::string_view value) {
  out.integer(static_cast<std::uint8_t>(tag));
  out.text(value);
}

// Calls take(tag, text) for each piece of the tail. Tags that we do not know are for it to leave alone: a later version may
// have more of them.
template <class Take>
void read_tail(Reader& in, Take take) {
  if (!in.reaches(kVersion3)) return;
  while (!in.is_at_end()) {
    const auto tag = static_cast<Tag>(in.integer<std::uint8_t>());
    take(tag, in.text());
  }
}

FrameType type_of(const Frame& frame) {
  return static_cast<FrameType>(frame.index() + 1);
}

void write(Writer& out, const Hello& hello) {
  out.integer(hello.magic);
  out.integer(hello.protocol_version);
  out.text(hello.libtask_version);
  out.text(hello.description);
}

// The first three fields keep their place in every version, so that a peer of another version can say so.
Hello read_hello(Reader& in) {
  Hello hello;
  hello.magic = in.integer<std::uint32_t>();
  if (hello.magic != kMagic) throw ProtocolError("a hello frame does not begin with the magic number");
  hello.protocol_version = in.integer<std::uint16_t>();
  hello.libtask_version = in.text();
  if (!is_served(hello.protocol_version)) return hello;
  hello.description = in.text();
  in.expect_end();
  return hello;
}

void write(Writer&, const Welcome&) {}

void write(Writer& out, const Refuse& refuse) {
  out.text(refuse.reason);
}

Refuse read_refuse(Reader& in) {
  return {.reason = in.text()};
}

// The k-th piece of a tag is that of the k-th job.
template <class Jobs>
auto& job_of_piece(Jobs& jobs, std::size_t k, const char* what) {
  if (k >= jobs.size())
    throw ProtocolError(std::string("a frame has ") + what + " for more jobs than it has");
  return jobs[k];
}

template <class Jobs>
void write_metas(Writer& out, const Jobs& jobs) {
  if (!out.reaches(kVersion3)) return;
  if (std::ranges::all_of(jobs, [](const auto& job) { return job.meta.empty(); })) return;
  for (const auto& job : jobs) write_tail(out, Tag::meta, job.meta);
}

void read_metas(Reader& in, std::vector<DeferredJob>& jobs) {
  std::size_t metas = 0;
  read_tail(in, [&](Tag tag, std::string&& text) {
    if (tag == Tag::meta) job_of_piece(jobs, metas++, "meta").meta = std::move(text);
  });
}

std::optional<std::int64_t> job_id_in(const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size())
    throw ProtocolError("a frame says that a job was deferred by \"" + text + "\", which is no number");
  return id;
}

void write_tail_of_runs(Writer& out, std::span<const Run> runs) {
  write_metas(out, runs);
  if (!out.reaches(kVersion3)) return;
  if (std::ranges::none_of(runs, [](const Run& run) { return run.deferred_by.has_value(); })) return;
  for (const Run& run : runs)
    write_tail(out, Tag::deferred_by, run.deferred_by ? std::to_string(*run.deferred_by) : "");
}

void read_tail_of_runs(Reader& in, std::span<Run> runs) {
  std::size_t metas = 0, deferred = 0;
  read_tail(in, [&](Tag tag, std::string&& text) {
    if (tag == Tag::meta) job_of_piece(runs, metas++, "meta").meta = std::move(text);
    if (tag == Tag::deferred_by) job_of_piece(runs, deferred++, "who deferred").deferred_by = job_id_in(text);
  });
}

void write_fields(Writer& out, const Run& run) {
  out.integer(run.job_id);
  out.integer(run.attempt);
  out.text(run.task);
  out.text(run.queue);
  out.integer(run.priority);
  out.text(run.lock);
  out.text(run.args);
  out.integer(run.time_limit_ms);
  if (!out.reaches(kVersion3)) return;
  out.optional_integer(run.scheduled_at_us);
}

void write(Writer& out, const Run& run) {
  write_fields(out, run);
  write_tail_of_runs(out, std::span(&run, 1));
}

Run read_fields_of_run(Reader& in) {
  Run run;
  run.job_id = in.integer<std::int64_t>();
  run.attempt = in.integer<std::int32_t>();
  run.task = in.text();
  run.queue = in.text();
  run.priority = in.integer<std::int32_t>();
  run.lock = in.text();
  run.args = in.text();
  run.time_limit_ms = in.integer<std::int64_t>();
  if (in.reaches(kVersion3)) run.scheduled_at_us = in.optional_integer<std::int64_t>();
  return run;
}

Run read_run(Reader& in) {
  Run run = read_fields_of_run(in);
  read_tail_of_runs(in, std::span(&run, 1));
  return run;
}

void write(Writer& out, const Runs& runs) {
  out.integer(runs.set);
  out.integer(runs.max_rss_bytes);
  out.integer(static_cast<std::uint32_t>(runs.runs.size()));
  for (const Run& run : runs.runs) write_fields(out, run);
  write_tail_of_runs(out, runs.runs);
}

Runs read_runs(Reader& in) {
  Runs runs;
  runs.set = in.integer<std::uint32_t>();
  runs.max_rss_bytes = in.integer<std::uint64_t>();
  const auto count = in.integer<std::uint32_t>();
  if (runs.set > kHighestSet) throw ProtocolError("a runs frame has an impossible set number");
  if (count == 0 || count > kLedgerEntries) throw ProtocolError("a runs frame has too many jobs, or none");
  runs.runs.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) runs.runs.push_back(read_fields_of_run(in));
  read_tail_of_runs(in, runs.runs);
  return runs;
}

void write(Writer& out, const Abort& abort) {
  out.integer(abort.job_id);
  out.integer(static_cast<std::uint8_t>(abort.reason));
}

Abort::Reason read_abort_reason(Reader& in) {
  return static_cast<Abort::Reason>(in.one_of(static_cast<std::uint8_t>(Abort::Reason::shutdown), "reason"));
}

Abort read_abort(Reader& in) {
  Abort abort;
  abort.job_id = in.integer<std::int64_t>();
  abort.reason = read_abort_reason(in);
  return abort;
}

void write(Writer& out, const Progress& progress) {
  out.integer(progress.job_id);
  out.integer(progress.done);
  out.integer(progress.total);
  if (out.reaches(kVersion3) && !progress.note.empty()) write_tail(out, Tag::note, progress.note);
}

Progress read_progress(Reader& in) {
  Progress progress;
  progress.job_id = in.integer<std::int64_t>();
  progress.done = in.integer<std::uint64_t>();
  progress.total = in.integer<std::uint64_t>();
  read_tail(in, [&progress](Tag tag, std::string&& text) {
    if (tag == Tag::note) progress.note = std::move(text);
  });
  return progress;
}

void write(Writer& out, const Value& value) {
  out.integer(value.job_id);
  out.text(value.json);
}

Value read_value(Reader& in) {
  Value value;
  value.job_id = in.integer<std::int64_t>();
  value.json = in.text();
  return value;
}

void write(Writer& out, const DeferredJob& job) {
  out.text(job.task);
  out.text(job.args);
  out.text(job.queue);
  out.integer(job.priority);
  out.optional_text(job.lock);
  out.optional_text(job.queueing_lock);
  out.integer(job.delay_us);
}

DeferredJob read_deferred_job(Reader& in) {
  DeferredJob job;
  job.task = in.text();
  job.args = in.text();
  job.queue = in.text();
  job.priority = in.integer<std::int32_t>();
  job.lock = in.optional_text();
  job.queueing_lock = in.optional_text();
  job.delay_us = in.integer<std::int64_t>();
  return job;
}

void write(Writer& out, const Result& result) {
  out.integer(result.job_id);
  out.integer(static_cast<std::uint8_t>(result.status));
  out.text(result.exception_type);
  out.text(result.message);
  out.flag(result.abort_reason.has_value());
  if (result.abort_reason) out.integer(static_cast<std::uint8_t>(*result.abort_reason));
  out.flag(result.retryable);
  out.optional_integer(result.retry_in_us);
  if (out.reaches(kVersion3)) {
    out.flag(result.retry_counts);
    out.optional_integer(result.retry_priority);
    out.optional_text(result.retry_queue);
    out.optional_text(result.retry_lock);
  }
  out.integer(result.cpu_us);
  out.integer(result.max_rss_bytes);
  out.integer(static_cast<std::uint32_t>(result.defers.size()));
  for (const DeferredJob& job : result.defers) write(out, job);
  write_metas(out, result.defers);
}

Result read_result(Reader& in) {
  Result result;
  result.job_id = in.integer<std::int64_t>();
  result.status =
      static_cast<ResultStatus>(in.one_of(static_cast<std::uint8_t>(ResultStatus::aborted), "status"));
  result.exception_type = in.text();
  result.message = in.text();
  if (in.flag()) result.abort_reason = read_abort_reason(in);
  result.retryable = in.flag();
  result.retry_in_us = in.optional_integer<std::int64_t>();
  if (in.reaches(kVersion3)) {
    result.retry_counts = in.flag();
    result.retry_priority = in.optional_integer<std::int32_t>();
    result.retry_queue = in.optional_text();
    result.retry_lock = in.optional_text();
  }
  result.cpu_us = in.integer<std::uint64_t>();
  result.max_rss_bytes = in.integer<std::uint64_t>();
  // Not reserved: the count is the peer's word, and only as many jobs as there are bytes for are ever made.
  const auto count = in.integer<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) result.defers.push_back(read_deferred_job(in));
  read_metas(in, result.defers);
  return result;
}

void write(Writer& out, const Stack& stack) {
  out.integer(stack.job_id);
  out.integer(stack.thread);
  out.integer(static_cast<std::uint32_t>(stack.addresses.size()));
  for (const std::uint64_t address : stack.addresses) out.integer(address);
}

Stack read_stack(Reader& in) {
  Stack stack;
  stack.job_id = in.integer<std::int64_t>();
  stack.thread = in.integer<std::int32_t>();
  const auto count = in.integer<std::uint32_t>();
  if (count > kMaxStackFrames) throw ProtocolError("a stack frame has too many addresses");
  for (std::uint32_t i = 0; i < count; ++i) stack.addresses.push_back(in.integer<std::uint64_t>());
  return stack;
}

void write(Writer& out, const Log& log) {
  out.integer(log.job_id);
  out.integer(static_cast<std::uint8_t>(log.level));
  out.text(log.text);
  out.text(log.fields);
}

Log read_log(Reader& in) {
  Log log;
  log.job_id = in.integer<std::int64_t>();
  log.level = static_cast<Log::Level>(in.one_of(static_cast<std::uint8_t>(Log::Level::error), "level"));
  log.text = in.text();
  log.fields = in.text();
  return log;
}

Frame decode(std::uint8_t type, std::string_view body, std::uint16_t version) {
  const auto read_all = [&](std::string_view name, auto read) {
    Reader in(name, body, version);
    Frame frame = read(in);
    in.expect_end();
    return frame;
  };
  switch (static_cast<FrameType>(type)) {
    case FrameType::hello: {
      Reader in("hello", body);
      return read_hello(in);
    }
    case FrameType::welcome:
      return read_all("welcome", [](Reader&) { return Welcome{}; });
    case FrameType::refuse:
      return read_all("refuse", read_refuse);
    case FrameType::run:
      return read_all("run", read_run);
    case FrameType::abort:
      return read_all("abort", read_abort);
    case FrameType::progress:
      return read_all("progress", read_progress);
    case FrameType::result:
      return read_all("result", read_result);
    case FrameType::stack:
      return read_all("stack", read_stack);
    case FrameType::runs:
      return read_all("runs", read_runs);
    case FrameType::value:
      return read_all("value", read_value);
    case FrameType::log:
      return read_all("log", read_log);
  }
  throw ProtocolError("a frame has the unknown type " + std::to_string(type));
}

std::uint32_t read_length(std::string_view bytes) {
  const auto length = Reader("a frame", bytes.substr(0, kLengthBytes)).integer<std::uint32_t>();
  if (length == 0) throw ProtocolError("a frame has the length 0");
  if (length > kMaxFrameBytes) {
    throw ProtocolError("a frame has the length " + std::to_string(length) + ", more than the allowed " +
                        std::to_string(kMaxFrameBytes));
  }
  return length;
}

}  // namespace

std::string encode(const Frame& frame, std::uint16_t version) {
  Writer body(version);
  body.integer(static_cast<std::uint8_t>(type_of(frame)));
  std::visit([&body](const auto& fields) { write(body, fields); }, frame);
  if (body.bytes().size() > kMaxFrameBytes)
    throw std::length_error("a frame is longer than the protocol allows");
  Writer whole;
  whole.integer(static_cast<std::uint32_t>(body.bytes().size()));
  return whole.bytes() + body.bytes();
}

StackBytes::StackBytes(std::int64_t job_id, std::int32_t thread, const std::uint64_t* addresses,
                       std::size_t count) noexcept {
  const std::size_t body =
      1 + sizeof job_id + sizeof thread + sizeof(std::uint32_t) + count * sizeof *addresses;
  integer(static_cast<std::uint32_t>(body));
  integer(static_cast<std::uint8_t>(FrameType::stack));
  integer(job_id);
  integer(thread);
  integer(static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; ++i) integer(addresses[i]);
}

template <std::integral T>
void StackBytes::integer(T value) noexcept {
  const auto bits = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t i = 0; i < sizeof(T); ++i)
    bytes_[size_++] = static_cast<char>((static_cast<std::uint64_t>(bits) >> (8 * i)) & 0xff);
}

std::optional<Frame> Decoder::next() {
  const std::string_view rest = std::string_view(buffer_).substr(offset_);
  if (rest.size() < kLengthBytes) return std::nullopt;
  const std::uint32_t length = read_length(rest);
  if (rest.size() - kLengthBytes < length) return std::nullopt;
  const auto type = static_cast<std::uint8_t>(rest[kLengthBytes]);
  Frame frame = decode(type, rest.substr(kLengthBytes + 1, length - 1), version_);
  offset_ += kLengthBytes + length;
  // Emptied when all is consumed, which a stream of single frames reaches after each of them; else the
  // consumed part goes once it is the larger one, so that every byte is moved at most once.
  if (offset_ == buffer_.size()) {
    buffer_.clear();
    offset_ = 0;
  } else if (offset_ > buffer_.size() / 2) {
    buffer_.erase(0, offset_);
    offset_ = 0;
  }
  return frame;
}

}  // namespace libtask::wire

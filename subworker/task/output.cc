#include "subworker/task/output.h"

#include <algorithm>

#include "sys/utf8.h"

namespace postpone::subworker {

namespace {

// Twice the tail, because the byte in front of the tail shows whether the tail begins at the start of a line.
// The text may grow to twice this before it is cut, so that it is not cut at every line.
constexpr std::size_t kKept = 2 * Output::kTailBytes;

}  // namespace

void Output::append(Stream stream, std::string_view bytes) {
  cost_ += static_cast<std::int64_t>(bytes.size());
  if (stream == Stream::err) {
    written_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kKept)));
    if (written_.size() > 2 * kKept) written_.erase(0, written_.size() - kKept);
  }
  std::string& partial = partial_[static_cast<std::size_t>(stream)];
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t room = kMaxLineBytes - partial.size();
    const std::size_t length = std::min({end, bytes.size(), room});
    partial.append(bytes.substr(0, length));
    bytes.remove_prefix(length);
    if (bytes.empty()) return;  // a full line too: its end may be the next byte
    const bool whole = bytes.front() == '\n';
    if (whole) bytes.remove_prefix(1);
    // Not within a character, unless it is none.
    const std::size_t left = whole ? 0 : sys::utf8_incomplete_at_end(partial);
    emit(stream, std::string_view(partial).substr(0, partial.size() - left));
    partial.erase(0, partial.size() - left);
  }
}

bool Output::count_line(std::size_t bytes) {
  cost_ += static_cast<std::int64_t>(bytes) + kLineCost;
  if (cost_ <= limit_) return true;
  dropped_ += static_cast<std::int64_t>(bytes);
  return false;
}

void Output::start(std::int64_t limit) {
  written_.clear();
  cost_ = 0;
  dropped_ = 0;
  limit_ = limit;
}

void Output::finish() {
  for (Stream stream : {Stream::out, Stream::err}) {
    std::string& partial = partial_[static_cast<std::size_t>(stream)];
    if (!partial.empty()) emit(stream, partial);
    partial.clear();
  }
}

void Output::emit(Stream stream, std::string_view line) {
  cost_ += kLineCost;
  if (cost_ <= limit_)
    sink_(stream, line);
  else
    dropped_ += static_cast<std::int64_t>(line.size()) + 1;
}

std::string_view Output::stderr_tail() const {
  const std::string_view written = written_;
  if (written.size() <= kTailBytes) return written;
  const std::size_t cut = written.size() - kTailBytes;
  if (written[cut - 1] == '\n') return written.substr(cut);
  const std::size_t end_of_line = written.find('\n', cut);
  if (end_of_line != std::string_view::npos && written.size() - end_of_line - 1 > kTailBytes / 2)
    return written.substr(end_of_line + 1);
  const auto is_continued = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
  std::size_t begin = cut;
  while (begin < cut + 3 && is_continued(written[begin])) ++begin;  // of a character that began before
  return written.substr(begin);
}

}  // namespace postpone::subworker

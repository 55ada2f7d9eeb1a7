#include "subworker/output.h"

#include <algorithm>

#include "sys/utf8.h"

namespace postpone::subworker {

void Output::append(Stream stream, std::string_view bytes) {
  bytes_ += static_cast<std::int64_t>(bytes.size());
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

void Output::start() {
  tail_.clear();
  bytes_ = 0;
}

void Output::finish() {
  for (Stream stream : {Stream::out, Stream::err}) {
    std::string& partial = partial_[static_cast<std::size_t>(stream)];
    if (!partial.empty()) emit(stream, partial);
    partial.clear();
  }
}

void Output::emit(Stream stream, std::string_view line) {
  sink_(stream, line);
  if (stream != Stream::err) return;
  tail_.append(line).append("\n");
  if (tail_.size() <= kTailBytes) return;
  // Cut at the beginning of a line, or inside the one line that is longer than the tail.
  const std::size_t excess = tail_.size() - kTailBytes;
  const std::size_t line_end = tail_.find('\n', excess - 1);
  tail_.erase(0, line_end + 1 < tail_.size() ? line_end + 1 : excess);
}

}  // namespace postpone::subworker

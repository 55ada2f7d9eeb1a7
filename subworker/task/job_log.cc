#include "subworker/task/job_log.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sys/log.h"
#include "sys/logger.h"
#include "sys/utf8.h"

namespace postpone::subworker {
namespace {

using Level = libtask::wire::Log::Level;

constexpr std::size_t kMostTextBytes = 8 * 1024 + 3;  // libtask cuts at 8 KiB, and puts an ellipsis there
constexpr std::size_t kMostFieldBytes = 16 * 1024;

sys::Level to_level(Level level) {
  switch (level) {
    case Level::debug:
      return sys::Level::debug;
    case Level::info:
      return sys::Level::info;
    case Level::warning:
      return sys::Level::warning;
    case Level::error:
      break;
  }
  return sys::Level::error;
}

bool has_too_many_fields(const libtask::wire::Log& line) {
  return line.fields.size() > kMostFieldBytes;
}

std::string cut(std::string text) {
  if (text.size() <= kMostTextBytes) return text;
  text.resize(kMostTextBytes);
  text.resize(text.size() - sys::utf8_incomplete_at_end(text));
  return text;
}

}  // namespace

void log_for_job(const libtask::wire::Log& line) {
  const sys::Logger& log = sys::log_of(sys::Component::task);
  if (!log.should_log(to_level(line.level))) return;
  std::string text = cut(line.text);
  std::vector<sys::LogField> fields;
  if (has_too_many_fields(line))
    text += fmt::format(" (its fields are left out: {} bytes, of at most {})", line.fields.size(),
                        kMostFieldBytes);
  else if (line.fields != "{}")
    fields.push_back({"fields", sys::LogJson{line.fields}});
  const sys::LogFields with(std::move(fields));
  log.log(to_level(line.level), text);
}

std::size_t logged_bytes(const libtask::wire::Log& line) {
  return std::min(line.text.size(), kMostTextBytes) + (has_too_many_fields(line) ? 0 : line.fields.size());
}

}  // namespace postpone::subworker

#include "cli/defer/ndjson.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <vector>

#include "cli/defer/arguments.h"
#include "cli/text/timestamp.h"
#include "config/nearest.h"

namespace postpone::cli {
namespace {

using nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\n";

// A key of a JSON object with its value, as they stand in the text. Positions are counted from 0.
struct Member {
  std::string key;
  std::size_t key_at = 0;
  std::size_t value_at = 0;
  std::string_view value;
};

// Finds the members of an object in its text. REQUIRES: the text is one valid JSON object, so that the walk
// need not check it again.
class Members {
 public:
  explicit Members(std::string_view text) : text_(text), at_(text.find('{') + 1) {}

  std::optional<Member> next() {
    skip(" \t\r\n,");
    if (text_[at_] == '}') return std::nullopt;
    Member member;
    member.key_at = at_;
    pass_string();
    member.key = json::parse(text_.substr(member.key_at, at_ - member.key_at)).get<std::string>();
    skip(" \t\r\n:");
    member.value_at = at_;
    pass_value();
    member.value = text_.substr(member.value_at, at_ - member.value_at);
    return member;
  }

 private:
  void skip(std::string_view characters) { at_ = text_.find_first_not_of(characters, at_); }

  void pass_string() {
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }

  void pass_value() {
    std::size_t depth = 0;
    for (;; ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        pass_string();
        --at_;  // the loop steps over the closing quote
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if (depth > 0 && (c == '}' || c == ']')) {
        --depth;
      } else if (depth == 0 && (c == ',' || c == '}' || kBlanks.find(c) != std::string_view::npos)) {
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_;
};

// What is wrong with a value, or nothing. The caller puts the key before it.
using Complaint = std::optional<std::string>;

Complaint read_text(const json& value, std::string& target) {
  if (!value.is_string()) return "must be a string";
  target = value.get<std::string>();
  return target.empty() ? Complaint("must not be empty; leave it out, or say null") : std::nullopt;
}

Complaint read_optional_text(const json& value, std::optional<std::string>& target) {
  return read_text(value, target.emplace());
}

Complaint read_priority(const json& value, int& target) {
  using Limits = std::numeric_limits<int>;
  const bool fits =
      value.is_number_unsigned()
          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(Limits::max())
          : value.is_number_integer() && value.get<std::int64_t>() >= std::int64_t{Limits::min()};
  if (!fits) return "must be a whole number from -2147483648 to 2147483647";
  target = value.get<int>();
  return std::nullopt;
}

Complaint read_moment(const json& value, sql::DeferRequest& request) {
  const auto time = value.is_string() ? parse_timestamp(value.get<std::string>()) : std::nullopt;
  if (!time) return "must be a time such as \"2025-03-30T14:05:00+02:00\"";
  request.scheduled_at = *time;
  request.scheduled_in.reset();
  return std::nullopt;
}

Complaint read_arguments(const json& value, std::string_view text, std::string& target) {
  if (!value.is_object()) return "must be an object";
  target = text;
  return std::nullopt;
}

Complaint read_on_conflict(const json& value, sql::OnConflict& target) {
  const auto choice = value.is_string() ? sql::parse_on_conflict(value.get<std::string>()) : std::nullopt;
  if (!choice) return R"(must be "refuse", "keep" or "replace")";
  target = *choice;
  return std::nullopt;
}

const std::vector<std::string_view>& known_keys() {
  static const std::vector<std::string_view> kKeys = {
      "task", "args", "queue", "priority", "lock", "queueing_lock", "scheduled_at", "on_conflict", "meta"};
  return kKeys;
}

Complaint complaint_about_unknown(const std::string& key) {
  if (const auto meant = config::nearest(key, known_keys()))
    return "is no key of a job; did you mean \"" + std::string(*meant) + "\"?";
  return "is no key of a job; they are task, args, queue, priority, lock, queueing_lock, scheduled_at, "
         "on_conflict, meta";
}

Complaint read(const Member& member, sql::DeferRequest& request) {
  const json value = json::parse(member.value);
  const std::string& key = member.key;
  const bool is_known = std::find(known_keys().begin(), known_keys().end(), key) != known_keys().end();
  if (!is_known) return complaint_about_unknown(key);
  if (value.is_null()) return std::nullopt;
  if (key == "task") return read_text(value, request.task);
  if (key == "args") return read_arguments(value, member.value, request.args);
  if (key == "queue") return read_text(value, request.queue);
  if (key == "priority") return read_priority(value, request.priority);
  if (key == "lock") return read_optional_text(value, request.lock);
  if (key == "queueing_lock") return read_optional_text(value, request.queueing_lock);
  if (key == "on_conflict") return read_on_conflict(value, request.on_conflict);
  if (key == "meta") return read_arguments(value, member.value, request.meta.emplace());
  return read_moment(value, request);
}

}  // namespace

std::variant<sql::DeferRequest, LineProblem> parse_job_line(std::string_view line,
                                                            const sql::DeferRequest& defaults) {
  // The line itself is one level more than its arguments.
  if (const auto problem = problem_with_object(line, kDeepest + 1))
    return LineProblem{problem->byte, problem->message};
  sql::DeferRequest request = defaults;
  std::vector<std::string> seen;
  Members members(line);
  while (const std::optional<Member> member = members.next()) {
    const std::string name = "\"" + member->key + "\" ";
    if (std::find(seen.begin(), seen.end(), member->key) != seen.end())
      return LineProblem{member->key_at + 1, name + "stands here for the second time"};
    seen.push_back(member->key);
    if (const Complaint complaint = read(*member, request)) {
      const bool about_the_key = complaint->starts_with("is ");
      return LineProblem{(about_the_key ? member->key_at : member->value_at) + 1, name + *complaint};
    }
  }
  if (request.task.empty()) return LineProblem{1, "\"task\" is missing"};
  return request;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(kBlanks) == std::string_view::npos;
}

bool LineReader::fill() {
  static constexpr std::size_t kBlock = 65'536;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const std::size_t size = buffer_.size();
  buffer_.resize(size + kBlock);
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer_.data() + size, kBlock);
  } while (count < 0 && errno == EINTR);
  buffer_.resize(size + static_cast<std::size_t>(count > 0 ? count : 0));
  if (count < 0) throw std::system_error(errno, std::generic_category(), "cannot read standard input");
  return count > 0;
}

LineReader::Next LineReader::next(std::string_view& line) {
  std::size_t looked_at = begin_;
  for (;;) {
    const std::size_t newline = buffer_.find('\n', looked_at);
    if (newline != std::string::npos) {
      line = std::string_view(buffer_).substr(begin_, newline - begin_);
      bytes_ += newline + 1 - begin_;
      begin_ = newline + 1;
      return Next::line;
    }
    const std::size_t unfinished = buffer_.size() - begin_;
    if (unfinished > kLongestLine) return Next::too_long;
    if (fill()) {
      looked_at = unfinished;
      continue;
    }
    if (unfinished == 0) return Next::end;
    line = std::string_view(buffer_);
    bytes_ += unfinished;
    begin_ = buffer_.size();
    return Next::line;
  }
}

}  // namespace postpone::cli

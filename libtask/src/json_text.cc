#include "json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "libtask/task.h"

namespace libtask {
namespace detail {
namespace {

constexpr int kMaxDepth = 500;  // of what is deferred: the database reads it by recursion

// Bytes of the UTF-8 sequence at `at`, 0 when there is none: overlong forms, surrogates and what lies beyond
// U+10FFFF are none.
std::size_t utf8_sequence(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto continued = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continued(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    return continued(1) && continued(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) > 0x8f;
    return continued(1) && continued(2) && continued(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto code = static_cast<unsigned char>(c);
  if (code >= 0x20) {
    out += c;
    return;
  }
  out += "\\u00";
  out += kHex[code >> 4U];
  out += kHex[code & 0xfU];
}

// Walks over a JSON text and objects to the first byte that cannot be.
class Skimmer {
 public:
  explicit Skimmer(std::string_view text) : text_(text) {}

  std::vector<std::string_view> only_object() {
    skip_space();
    if (peek() != '{') fail("an object ({…})");
    do {
      value();
      skip_space();
      while (!open_.empty() && !another_follows()) skip_space();
    } while (!open_.empty());
    if (at_ != text_.size()) fail("the end");
    return std::move(keys_);
  }

 private:
  [[noreturn]] void fail(const char* expected) const {
    throw std::invalid_argument("not JSON at byte " + std::to_string(at_) + ": expected " + expected);
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }

  // A plain value, or what opens an object or an array up to where its first value begins. Empty ones are
  // closed again at once.
  void value() {
    switch (peek()) {
      case '{':
      case '[':
        return open();
      case '"':
        string();
        return;
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }
  void open() {
    do {
      open_.push_back(text_[at_++]);
      skip_space();
      if (peek() == closing()) return;  // for another_follows() to take
      key();
    } while (peek() == '{' || peek() == '[');
    value();
  }
  char closing() const { return open_.back() == '{' ? '}' : ']'; }
  void key() {
    if (open_.back() != '{') return;
    const std::string_view name = string();
    if (open_.size() == 1) keys_.push_back(name);
    skip_space();
    if (!accept(':')) fail("\":\"");
    skip_space();
  }
  // Behind a value: whether the next one of its object or array begins here. Else the object or array ends.
  bool another_follows() {
    if (accept(',')) {
      skip_space();
      key();
      return true;
    }
    if (!accept(closing())) fail(open_.back() == '{' ? "\",\" or \"}\"" : "\",\" or \"]\"");
    open_.pop_back();
    return false;
  }

  std::string_view string() {
    if (!accept('"')) fail("a string (in double quotes)");
    const std::size_t begin = at_;
    while (!accept('"')) {
      if (at_ == text_.size()) fail("the end of the string");
      if (static_cast<unsigned char>(peek()) < 0x20) fail("an escape for a control character");
      if (accept('\\')) {
        escape();
      } else {
        const std::size_t bytes = utf8_sequence(text_, at_);
        if (bytes == 0) fail("UTF-8");
        at_ += bytes;
      }
    }
    return text_.substr(begin, at_ - begin - 1);
  }
  void escape() {
    if (accept('u')) {
      const std::size_t digits = text_.substr(at_, 4).find_first_not_of("0123456789abcdefABCDEF");
      if (digits != std::string_view::npos || text_.size() - at_ < 4) fail("four hexadecimal digits");
      if (text_.substr(at_, 4) == "0000") fail("no NUL, which PostgreSQL cannot store");
      at_ += 4;
    } else if (std::string_view("\"\\/bfnrt").find(peek()) == std::string_view::npos) {
      fail("an escape that JSON knows");
    } else {
      ++at_;
    }
  }
  void word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) fail("a value");
    at_ += expected.size();
  }
  void number() {
    accept('-');
    if (!accept('0')) digits("a value");
    if (accept('.')) digits("a digit");
    if (accept('e') || accept('E')) {
      if (!accept('+')) accept('-');
      digits("a digit");
    }
  }
  void digits(const char* expected) {
    if (peek() < '0' || peek() > '9') fail(expected);
    while (peek() >= '0' && peek() <= '9') ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string open_;  // the objects and arrays that we are in, by their brackets
  std::vector<std::string_view> keys_;
};

std::string member_list(std::initializer_list<Member> members) {
  std::string list;
  for (const Member& member : members) {
    list.append(list.empty() ? "" : ",").append(json_text(member.name) + ":" + member.value.text());
  }
  return "{" + list + "}";
}

}  // namespace

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = utf8_sequence(text, at);
    if (bytes == 0 || text[at] == '\0') {
      throw std::invalid_argument(std::string("a text for JSON ") +
                                  (bytes == 0 ? "is not UTF-8" : "has a NUL") + " at byte " +
                                  std::to_string(at));
    }
    if (bytes == 1) {
      append_escaped(out, text[at]);
    } else {
      out.append(text, at, bytes);
    }
    at += bytes;
  }
  return out + '"';
}

std::string json_number(double number) {
  if (!std::isfinite(number)) throw std::invalid_argument("JSON has no number for NaN and infinity");
  std::array<char, 32> digits{};  // the shortest form that reads back as the same double takes at most 24
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  return {digits.data(), end};
}

std::vector<std::string_view> object_keys(std::string_view text) {
  return Skimmer(text).only_object();
}

int depth_of(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (in_string && text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      in_string = !in_string;
    } else if (!in_string) {
      if (text[at] == '{' || text[at] == '[') deepest = std::max(deepest, ++depth);
      if (text[at] == '}' || text[at] == ']') --depth;
    }
  }
  return deepest;
}

}  // namespace detail

std::string ToJson<Value>::text(const Value& value) {
  return value.text();
}

std::string ToJson<Args>::text(const Args& args) {
  return args.text();
}

Value::Value(std::initializer_list<Member> object) : text_(detail::member_list(object)) {}

Args::Args(std::initializer_list<Member> members) : text_(detail::member_list(members)) {}

Args Args::from_text(std::string json) {
  detail::object_keys(json);
  if (const int depth = detail::depth_of(json); depth > detail::kMaxDepth)
    throw std::invalid_argument("nested " + std::to_string(depth) + " deep, more than the " +
                                std::to_string(detail::kMaxDepth) + " that arguments may be");
  Args args;
  args.text_ = std::move(json);
  return args;
}

}  // namespace libtask

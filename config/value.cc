#include "config/value.h"

#include <algorithm>
#include <tuple>

#include "config/nearest.h"

namespace postpone::config {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50;  // 1 PiB
constexpr std::size_t kMaxShownLength = 60;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// The type and, where a value is short, the value: integer 30, string "often".
std::string describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return "string " + in_quotes(text->get());
  if (const auto* number = node.as_integer()) return "integer " + std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return type_of(node);
}

}  // namespace

// ---- Problems ------------------------------------------------------------------------------------

void Report::add(const toml::source_region& where, std::string message) {
  problems_.push_back(
      {static_cast<int>(where.begin.line), static_cast<int>(where.begin.column), std::move(message)});
}

std::vector<Problem> Report::sorted() && {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  return std::move(problems_);
}

bool is_continuation_byte(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::string in_quotes(std::string_view text) {
  std::size_t length = std::min(text.size(), kMaxShownLength);
  if (length < text.size()) {  // cut between characters, not within one
    while (length > 0 && is_continuation_byte(text[length])) --length;
  }
  std::string shown = "\"";
  for (const char c : text.substr(0, length)) shown += is_control(c) ? '?' : c;
  return shown + (length < text.size() ? "…\"" : "\"");
}

std::string type_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return node.is_array_of_tables() ? "an array of tables" : "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

std::string list_of(const std::vector<std::string_view>& texts) {
  std::string list;
  for (const std::string_view text : texts) list.append(list.empty() ? "" : ", ").append(text);
  return list;
}

// ---- Values --------------------------------------------------------------------------------------

void Value::expected(const std::string& what, const std::string& hint) const {
  reject("expected " + what + ", got " + describe(node) + hint);
}

void Value::expected_type(const std::string& what) const {
  reject("expected " + what + ", got " + type_of(node));
}

std::optional<bool> boolean(const Value& value) {
  if (const auto* flag = value.node.as_boolean()) return flag->get();
  value.expected("true or false");
  return std::nullopt;
}

std::optional<std::string> text(const Value& value) {
  const auto* node = value.node.as_string();
  if (node == nullptr) {
    value.expected(value.node.is_value() ? "a string in quotes" : "a string");
    return std::nullopt;
  }
  if (node->get().find('\0') != std::string::npos) {
    value.reject("must not contain a NUL character");
    return std::nullopt;
  }
  return node->get();
}

Reader<std::vector<std::string>> list(Reader<std::string> element) {
  return [element = std::move(element)](const Value& value) -> std::optional<std::vector<std::string>> {
    const toml::array* array = value.node.as_array();
    if (array == nullptr) {
      value.expected_type("an array of strings such as [\"a\", \"b\"]");
      return std::nullopt;
    }
    std::vector<std::string> items;
    for (const toml::node& node : *array) {
      if (auto item = element(Value{node, value.name, value.directory, value.files, value.report})) {
        items.push_back(std::move(*item));
      }
    }
    return items;
  };
}

Reader<int> integer(int lowest, int highest) {
  return [=](const Value& value) -> std::optional<int> {
    const auto* node = value.node.as_integer();
    if (node == nullptr) {
      value.expected("an integer");
      return std::nullopt;
    }
    if (node->get() < lowest || node->get() > highest) {
      value.reject(std::to_string(node->get()) + " is impossible, must be from " + std::to_string(lowest) +
                   " to " + std::to_string(highest));
      return std::nullopt;
    }
    return static_cast<int>(node->get());
  };
}

Reader<Milliseconds> duration(Milliseconds shortest, Milliseconds longest) {
  return [=](const Value& value) -> std::optional<Milliseconds> {
    const auto* node = value.node.as_string();
    const auto read = node != nullptr ? parse_duration(node->get()) : std::nullopt;
    if (!read) {
      value.expected(R"(a duration such as "30s" (units ms, s, m, h, d))");
      return std::nullopt;
    }
    if (*read < shortest || *read > longest) {
      value.reject(in_quotes(node->get()) + " is impossible, must be from \"" + format_duration(shortest) +
                   "\" to \"" + format_duration(longest) + "\"");
      return std::nullopt;
    }
    return read;
  };
}

Reader<std::int64_t> size(std::int64_t lowest) {
  return [=](const Value& value) -> std::optional<std::int64_t> {
    std::optional<std::int64_t> bytes;
    if (const auto* node = value.node.as_integer()) bytes = node->get();
    if (const auto* node = value.node.as_string()) bytes = parse_size(node->get());
    if (!bytes) {
      value.expected(R"(a size such as "512MiB" (units B, KiB, MiB, GiB, TiB, kB, MB, GB, TB))");
      return std::nullopt;
    }
    if (*bytes < lowest || *bytes > kMaxBytes) {
      value.reject(describe(value.node) + " is impossible, must be from " + std::to_string(lowest) +
                   " to 1024TiB");
      return std::nullopt;
    }
    return bytes;
  };
}

Reader<std::size_t> one_of(std::vector<std::string_view> names) {
  return [names = std::move(names)](const Value& value) -> std::optional<std::size_t> {
    const auto* node = value.node.as_string();
    if (node == nullptr) {
      value.expected("one of " + list_of(names));
      return std::nullopt;
    }
    const auto found = std::find(names.begin(), names.end(), node->get());
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    const auto near = nearest(node->get(), names);
    value.expected("one of " + list_of(names), near ? ", did you mean " + in_quotes(*near) + "?" : "");
    return std::nullopt;
  };
}

}  // namespace postpone::config

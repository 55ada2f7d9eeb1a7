// What schedules and retention have: tasks, ids, locks, cron expressions, time zones, arguments, ages.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "config/readers.h"
#include "libtask/wire/cron.h"
#include "libtask/wire/zone.h"

namespace postpone::config {
namespace {

constexpr std::size_t kMostCharacters = 128;  // of the columns task_name and periodic_id
constexpr std::size_t kMostLockBytes = 2000;  // what an index can hold
constexpr Milliseconds kHundredYears = std::chrono::hours{24} * 36'525;

std::optional<std::string> short_text(const Value& value, std::size_t least) {
  auto name = text(value);
  if (!name) return std::nullopt;
  const auto continued = std::count_if(name->begin(), name->end(), is_continuation_byte);
  const std::size_t characters = name->size() - static_cast<std::size_t>(continued);
  if (characters >= least && characters <= kMostCharacters) return name;
  value.reject(characters < least ? "must not be empty"
                                  : in_quotes(*name) + " is too long, it may have " +
                                        std::to_string(kMostCharacters) + " characters");
  return std::nullopt;
}

std::string quoted_json(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += {'\\', c};
    } else if (code < 0x20) {
      json += "\\u00";
      json += {kDigits[code >> 4U], kDigits[code & 0xFU]};
    } else {
      json += c;
    }
  }
  return json + '"';
}

// Writes TOML as JSON. What JSON has not is reported with its place.
class JsonWriter {
 public:
  explicit JsonWriter(const Value& value) : value_(value) {}

  std::string write(const toml::node& node) {
    if (const auto* table = node.as_table()) return write(*table);
    if (const auto* array = node.as_array()) return write(*array);
    if (const auto* text = node.as_string()) return write(*text);
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    if (const auto* number = node.as_floating_point(); number != nullptr && std::isfinite(number->get()))
      return write(number->get());
    value_.report.add(node.source(), value_.name + ": JSON has no such value, write it as a string");
    return "null";
  }

 private:
  std::string write(const toml::table& table) {
    std::string json;
    for (const auto& [name, node] : table) {
      if (name.str().find('\0') != std::string_view::npos) refuse_nul(name.source());
      json += (json.empty() ? "" : ",") + quoted_json(name.str()) + ":" + write(node);
    }
    return "{" + json + "}";
  }
  std::string write(const toml::array& array) {
    std::string json;
    for (const toml::node& node : array) json += (json.empty() ? "" : ",") + write(node);
    return "[" + json + "]";
  }
  std::string write(const toml::value<std::string>& text) {
    if (text.get().find('\0') != std::string::npos) refuse_nul(text.source());
    return quoted_json(text.get());
  }
  // The shortest text that is read back as the same number.
  static std::string write(double number) {
    std::array<char, 32> text{};
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
  }
  void refuse_nul(const toml::source_region& where) {
    value_.report.add(where, value_.name + ": must not contain a NUL character");
  }

  const Value& value_;
};

}  // namespace

std::optional<Milliseconds> age(const Value& value) {
  return duration(Milliseconds{0}, kHundredYears)(value);
}

std::optional<std::string> task_name(const Value& value) {
  return short_text(value, 1);
}

std::optional<std::string> schedule_id(const Value& value) {
  return short_text(value, 0);
}

std::optional<std::string> lock_name(const Value& value) {
  auto name = text(value);
  if (!name || name->size() <= kMostLockBytes) return name;
  value.reject(in_quotes(*name) + " is too long, a lock may have " + std::to_string(kMostLockBytes) +
               " bytes");
  return std::nullopt;
}

std::optional<std::string> cron(const Value& value) {
  auto expression = text(value);
  if (!expression) return std::nullopt;
  try {
    libtask::wire::Cron::parse(*expression);
    return expression;
  } catch (const libtask::wire::CronError& error) {
    value.reject(in_quotes(*expression) + ": " + error.what());
    return std::nullopt;
  }
}

std::optional<std::string> zone(const Value& value) {
  auto name = text(value);
  if (!name) return std::nullopt;
  try {
    if (value.files == Files::check) libtask::wire::Zone::load(*name);
    return name;
  } catch (const libtask::wire::ZoneError& error) {
    value.reject(error.what());
    return std::nullopt;
  }
}

std::optional<std::string> json_object(const Value& value) {
  if (!value.node.is_table()) {
    value.expected_type("a table such as { dish = \"plate\", times = 2 }");
    return std::nullopt;
  }
  return JsonWriter(value).write(value.node);
}

}  // namespace postpone::config

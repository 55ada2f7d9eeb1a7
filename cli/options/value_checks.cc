#include "cli/options/value_checks.h"

#include <string>

#include "cli/options/parser.h"
#include "config/config.h"
#include "sys/utf8.h"

namespace postpone::cli {
namespace {

// The limits as help and manual pages show them; nothing where they are only those of the type.
std::string limits_in_help(std::int64_t lowest, std::int64_t highest) {
  using Limits = std::numeric_limits<int>;
  if (highest >= Limits::max()) return "";
  return "INT in [" + std::to_string(lowest) + " - " + std::to_string(highest) + "]";
}

std::string range(const std::string& lowest, const std::string& highest) {
  return " from " + lowest + " to " + highest;
}

// "0.1", not "0.100000".
std::string plain(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// The database stores UTF-8 only.
bool is_utf8(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = sys::utf8_character_at(text, at);
    if (bytes == 0) return false;
    at += bytes;
  }
  return true;
}

}  // namespace

// transform() and not check(): it replaces the text, so that CLI11 reads the same number as this check.
void whole_number(Option* option, std::int64_t lowest, std::int64_t highest) {
  option->transform(
      [lowest, highest](std::string& text) -> std::string {
        const auto number = config::parse_whole_number(text, lowest, highest);
        if (!number) {
          return "\"" + text + "\" is no whole number" +
                 range(std::to_string(lowest), std::to_string(highest)) + " in decimal digits";
        }
        text = std::to_string(*number);
        return "";
      },
      limits_in_help(lowest, highest));
}

void job_id(Option* option) {
  option->transform(
      [](std::string& text) -> std::string {
        using Limits = std::numeric_limits<std::int64_t>;
        const auto id = config::parse_whole_number(text, Limits::min(), Limits::max());
        if (!id) return "\"" + text + "\" is no id of a job, which is a number in decimal digits";
        text = std::to_string(*id);
        return "";
      },
      "");
}

void decimal(Option* option, double lowest, double highest) {
  option->check(
      [lowest, highest](const std::string& text) -> std::string {
        if (config::parse_decimal(text, lowest, highest)) return "";
        return "\"" + text + "\" is no number" + range(plain(lowest), plain(highest)) + ", such as 2 or 0.5";
      },
      "FLOAT in [" + plain(lowest) + " - " + plain(highest) + "]");
}

void nonempty(Option* option) {
  option->check(
      [](const std::string& text) -> std::string {
        if (text.empty()) return "is empty; leave the option out, or give it a value";
        return is_utf8(text) ? "" : "is not UTF-8";
      },
      "");
}

}  // namespace postpone::cli

#include "cron_form.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

namespace libtask::detail {
namespace {

struct Field {
  std::string_view name;
  int lowest;
  int highest;
  std::span<const std::string_view> words;  // the first stands for `lowest`
};

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<Field, 6> kFields{{{"minute", 0, 59, {}},
                                        {"hour", 0, 23, {}},
                                        {"day of month", 1, 31, {}},
                                        {"month", 1, 12, kMonths},
                                        {"day of week", 0, 7, kDays},  // 7 is Sunday too
                                        {"second", 0, 59, {}}}};

constexpr std::array<std::string_view, 7> kAliases{"@hourly",  "@daily",  "@midnight", "@weekly",
                                                   "@monthly", "@yearly", "@annually"};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words = split(text, ' ');
  std::erase(words, "");
  return words;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::optional<int> point(std::string_view text, const Field& field) {
  for (std::size_t i = 0; i < field.words.size(); ++i) {
    if (same_word(text, field.words[i])) return field.lowest + static_cast<int>(i);
  }
  const auto value = number(text);
  return value && *value >= field.lowest && *value <= field.highest ? value : std::nullopt;
}

// "*", "5", "5-10", "*/2", "5-10/2", and "5/2" for "from 5 on".
bool is_item(std::string_view text, const Field& field) {
  const std::vector<std::string_view> stepped = split(text, '/');
  if (stepped.size() > 2) return false;
  if (stepped.size() == 2 && number(stepped[1]).value_or(0) < 1) return false;
  if (stepped[0] == "*") return true;
  const std::vector<std::string_view> ends = split(stepped[0], '-');
  if (ends.size() == 1) return point(ends[0], field).has_value();
  if (ends.size() != 2) return false;
  const auto first = point(ends[0], field);
  const auto last = point(ends[1], field);
  return first && last && *first <= *last;
}

}  // namespace

std::string cron_fault(std::string_view cron) {
  if (std::find(kAliases.begin(), kAliases.end(), cron) != kAliases.end()) return "";
  const std::vector<std::string_view> words = words_of(cron);
  if (words.size() != 5 && words.size() != 6) {
    return "it needs five fields (or six, seconds last), not " + std::to_string(words.size());
  }
  const auto fields = std::span(kFields).first(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    for (const std::string_view item : split(words[i], ',')) {
      if (is_item(item, fields[i])) continue;
      return "\"" + std::string(item) + "\" cannot be its " + std::string(fields[i].name) + " (" +
             std::to_string(fields[i].lowest) + " to " + std::to_string(fields[i].highest) + ")";
    }
  }
  return "";
}

}  // namespace libtask::detail

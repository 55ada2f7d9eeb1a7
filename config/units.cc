// Durations and sizes as people write them: a number, at most one decimal point, a unit, nothing else.
#include <array>
#include <charconv>
#include <limits>
#include <span>

#include "config/config.h"

namespace postpone::config {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// From small to large.
constexpr std::array<Unit, 5> kDurationUnits{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

constexpr std::array<Unit, 11> kSizeUnits{{{"", 1},
                                           {"B", 1},
                                           {"kB", 1'000},
                                           {"KB", 1'000},
                                           {"KiB", 1LL << 10},
                                           {"MB", 1'000'000},
                                           {"MiB", 1LL << 20},
                                           {"GB", 1'000'000'000},
                                           {"GiB", 1LL << 30},
                                           {"TB", 1'000'000'000'000},
                                           {"TiB", 1LL << 40}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the digits from the front of `text`; nothing when there are none or the number does not fit.
std::optional<std::int64_t> take_number(std::string_view& text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// The digits behind a decimal point, as numerator / denominator.
struct Fraction {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;
};

// Takes ".25" from the front of `text`. Six digits are plenty, and keep numerator times any factor within
// range.
std::optional<Fraction> take_fraction(std::string_view& text) {
  Fraction fraction;
  if (text.empty() || text.front() != '.') return fraction;
  text.remove_prefix(1);
  const std::size_t before = text.size();
  const auto numerator = take_number(text);
  const std::size_t digits = before - text.size();
  if (!numerator || digits > 6) return std::nullopt;
  fraction.numerator = *numerator;
  for (std::size_t i = 0; i < digits; ++i) fraction.denominator *= 10;
  return fraction;
}

std::optional<std::int64_t> parse_quantity(std::string_view text, std::span<const Unit> units) {
  const auto whole = take_number(text);
  if (!whole) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != text) continue;
    const std::int64_t scaled = fraction->numerator * unit.factor;
    if (scaled % fraction->denominator != 0) return std::nullopt;
    const std::int64_t rest = scaled / fraction->denominator;
    if (*whole > (kMost - rest) / unit.factor) return std::nullopt;
    return *whole * unit.factor + rest;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Milliseconds> parse_duration(std::string_view text) {
  const auto milliseconds = parse_quantity(text, kDurationUnits);
  if (!milliseconds) return std::nullopt;
  return Milliseconds{*milliseconds};
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  return parse_quantity(text, kSizeUnits);
}

std::optional<std::int64_t> parse_whole_number(std::string_view text, std::int64_t lowest,
                                               std::int64_t highest) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (number < lowest || number > highest) return std::nullopt;
  return number;
}

std::optional<double> parse_decimal(std::string_view text, double lowest, double highest) {
  const bool is_plain = !text.empty() && is_digit(text.front()) && is_digit(text.back()) &&
                        text.find_first_not_of("0123456789.") == std::string_view::npos;
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (!is_plain || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!(number >= lowest && number <= highest)) return std::nullopt;
  return number;
}

std::string format_duration(Milliseconds duration) {
  const Unit* best = &kDurationUnits.front();
  for (const Unit& unit : kDurationUnits) {
    if (duration.count() != 0 && duration.count() % unit.factor == 0) best = &unit;
  }
  return std::to_string(duration.count() / best->factor).append(best->name);
}

}  // namespace postpone::config

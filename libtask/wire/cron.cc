#include "libtask/wire/cron.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <string>
#include <vector>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using std::string_view;

struct Field {
  const char* name;
  int least;
  int most;
  std::span<const string_view> names;  // of the values from `least` on
};

constexpr std::array<string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                 "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

const Field kSecond = {"second", 0, 59, {}};
const Field kMinute = {"minute", 0, 59, {}};
const Field kHour = {"hour", 0, 23, {}};
const Field kDay = {"day of month", 1, 31, {}};
const Field kMonth = {"month", 1, 12, kMonths};
const Field kWeekday = {"day of week", 0, 7, kWeekdays};

[[noreturn]] void refuse(const Field& field, string_view item) {
  throw CronError("\"" + std::string(item) + "\" cannot be its " + field.name + " (" +
                  std::to_string(field.least) + " to " + std::to_string(field.most) + ")");
}

std::vector<string_view> split(string_view text, string_view separators) {
  std::vector<string_view> parts;
  for (;;) {
    const std::size_t end = text.find_first_of(separators);
    parts.push_back(text.substr(0, end));
    if (end == string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string lower(string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return result;
}

// Nothing when the text is no number.
std::optional<int> parse_number(string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int parse_value(string_view text, const Field& field) {
  const auto name = std::find(field.names.begin(), field.names.end(), lower(text));
  if (name != field.names.end()) return field.least + static_cast<int>(name - field.names.begin());
  const auto value = parse_number(text);
  if (!value || *value < field.least || *value > field.most) refuse(field, text);
  return *value;
}

// One element of a list: *, a, a-b, each with an optional /step; "a/step" means from a to the end.
template <std::size_t N>
void parse_element(string_view element, const Field& field, std::bitset<N>& bits) {
  const auto parts = split(element, "/");
  if (parts.size() > 2 || parts[0].empty()) refuse(field, element);
  const bool stepped = parts.size() == 2;
  const int step = stepped ? parse_number(parts[1]).value_or(0) : 1;
  if (step < 1) refuse(field, element);
  int first = field.least;
  int last = field.most;
  if (parts[0] != "*") {
    const auto range = split(parts[0], "-");
    if (range.size() > 2) refuse(field, element);
    first = parse_value(range[0], field);
    last = range.size() == 2 ? parse_value(range[1], field) : stepped ? field.most : first;
    if (last < first) refuse(field, element);
  }
  for (int value = first; value <= last; value += std::min(step, field.most + 1))
    bits.set(static_cast<std::size_t>(value));
}

template <std::size_t N>
std::bitset<N> parse_field(string_view text, const Field& field) {
  std::bitset<N> bits;
  for (string_view element : split(text, ",")) parse_element(element, field, bits);
  return bits;
}

string_view expand_alias(string_view expression) {
  if (expression == "@hourly") return "0 * * * *";
  if (expression == "@daily" || expression == "@midnight") return "0 0 * * *";
  if (expression == "@weekly") return "0 0 * * 0";
  if (expression == "@monthly") return "0 0 1 * *";
  if (expression == "@yearly" || expression == "@annually") return "0 0 1 1 *";
  return expression;
}

}  // namespace

Cron Cron::parse(string_view expression) {
  auto fields = split(expand_alias(expression), " \t");
  std::erase(fields, string_view());
  if (fields.size() != 5 && fields.size() != 6)
    throw CronError("it needs five fields (or six, seconds last), not " + std::to_string(fields.size()));
  Cron cron;
  cron.minutes_ = parse_field<60>(fields[0], kMinute);
  cron.hours_ = parse_field<24>(fields[1], kHour);
  cron.days_ = parse_field<32>(fields[2], kDay);
  cron.months_ = parse_field<13>(fields[3], kMonth);
  cron.weekdays_ = parse_field<8>(fields[4], kWeekday);
  cron.seconds_ = parse_field<60>(fields.size() == 6 ? fields[5] : "0", kSecond);
  if (cron.weekdays_.test(7)) cron.weekdays_.set(0);
  cron.any_hour_ = fields[1].front() == '*' || cron.hours_.all();
  cron.any_day_ = fields[2].front() == '*' || cron.days_.count() == 31;
  cron.any_weekday_ = fields[4].front() == '*' || (cron.weekdays_ & std::bitset<8>(0x7F)).count() == 7;
  if (!cron.some_day_fits())
    throw CronError("the day never comes: \"" + std::string(fields[2]) + "\" of month \"" +
                    std::string(fields[3]) + "\"");
  return cron;
}

bool Cron::day_fits(std::chrono::year_month_day day) const {
  if (!months_.test(unsigned(day.month()))) return false;
  const bool by_day = days_.test(unsigned(day.day()));
  const bool by_weekday = weekdays_.test(std::chrono::weekday(std::chrono::sys_days(day)).c_encoding());
  return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

// Every weekday comes in any month, and every date of a leap year on any weekday. So only the dates are
// asked.
bool Cron::some_day_fits() const {
  if (!any_day_ && !any_weekday_) return true;
  for (unsigned month = 1; month <= 12; ++month) {
    const auto last = std::chrono::year(2000) / std::chrono::month(month) / std::chrono::last;
    for (unsigned day = 1; months_.test(month) && day <= unsigned(last.day()); ++day)
      if (days_.test(day)) return true;
  }
  return false;
}

// The first tick of a fitting day at or after `from` (seconds since its midnight).
std::optional<std::chrono::seconds> Cron::first_in_day(std::chrono::seconds from) const {
  for (auto time = from; time < 24h;) {
    const auto hour = std::chrono::floor<std::chrono::hours>(time);
    const auto minute = std::chrono::floor<std::chrono::minutes>(time);
    if (!hours_.test(static_cast<std::size_t>(hour.count())))
      time = hour + 1h;
    else if (!minutes_.test(static_cast<std::size_t>((minute - hour).count())))
      time = minute + 1min;
    else if (!seconds_.test(static_cast<std::size_t>((time - minute).count())))
      time += 1s;
    else
      return time;
  }
  return std::nullopt;
}

std::optional<Cron::Time> Cron::next_after(Time time) const {
  const auto start = time + 1s;
  auto day = std::chrono::floor<std::chrono::days>(start);
  auto from = start - day;
  for (const auto end = day + std::chrono::years(41); day < end; day += std::chrono::days(1), from = 0s) {
    if (!day_fits(std::chrono::year_month_day(day))) continue;
    if (const auto tick = first_in_day(from)) return day + *tick;
  }
  return std::nullopt;
}

}  // namespace libtask::wire

#include "cli/text/timestamp.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;
using Microseconds = std::chrono::microseconds;

// Takes a text apart from the left.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }

  // Takes the next character if it is one of these.
  std::optional<char> take(std::string_view one_of) {
    if (rest_.empty() || one_of.find(rest_.front()) == std::string_view::npos) return std::nullopt;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  // Takes exactly so many digits.
  std::optional<int> number(std::size_t digits) {
    int value = 0;
    if (rest_.size() < digits || rest_.front() == '-') return std::nullopt;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + digits, value);
    if (error != std::errc{} || end != rest_.data() + digits) return std::nullopt;
    rest_.remove_prefix(digits);
    return value;
  }

  // Takes one to nine digits that follow a decimal point: nanoseconds, as `date -Ins` and Go write them.
  std::optional<Microseconds> fraction() {
    std::chrono::nanoseconds::rep value = 0;
    int unit = 100'000'000;
    while (const std::optional<char> digit = take("0123456789")) {
      if (unit == 0) return std::nullopt;
      value += (*digit - '0') * unit;
      unit /= 10;
    }
    if (unit == 100'000'000) return std::nullopt;
    return std::chrono::floor<Microseconds>(std::chrono::nanoseconds(value));
  }

 private:
  std::string_view rest_;
};

// Timestamp counts nanoseconds in 64 bits: these years fit whole, in every time zone.
constexpr int kFirstYear = 1678;
constexpr int kLastYear = 2261;

std::optional<std::chrono::year_month_day> scan_date(Scanner& text) {
  const std::optional<int> year = text.number(4);
  if (!year || *year < kFirstYear || *year > kLastYear || !text.take("-")) return std::nullopt;
  const std::optional<int> month = text.number(2);
  if (!month || !text.take("-")) return std::nullopt;
  const std::optional<int> day = text.number(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return date;
}

// Since midnight.
std::optional<Microseconds> scan_time_of_day(Scanner& text) {
  const std::optional<int> hour = text.number(2);
  if (!hour || *hour > 23 || !text.take(":")) return std::nullopt;
  const std::optional<int> minute = text.number(2);
  if (!minute || *minute > 59) return std::nullopt;
  Microseconds time = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
  if (!text.take(":")) return time;
  const std::optional<int> second = text.number(2);
  if (!second || *second > 59) return std::nullopt;
  time += std::chrono::seconds(*second);
  if (!text.take(".,")) return time;
  const std::optional<Microseconds> fraction = text.fraction();
  if (!fraction) return std::nullopt;
  return time + *fraction;
}

// East of Greenwich: "Z", "+02", "+0200", "+02:00".
std::optional<std::chrono::minutes> scan_offset(Scanner& text) {
  if (text.take("Zz")) return 0min;
  const std::optional<char> sign = text.take("+-");
  const std::optional<int> hours = sign ? text.number(2) : std::nullopt;
  if (!hours || *hours > 15) return std::nullopt;
  std::chrono::minutes offset = std::chrono::hours(*hours);
  if (text.take(":") || !text.at_end()) {
    const std::optional<int> minutes = text.number(2);
    if (!minutes || *minutes > 59) return std::nullopt;
    offset += std::chrono::minutes(*minutes);
  }
  return *sign == '-' ? -offset : offset;
}

std::optional<Timestamp> from_local(std::chrono::year_month_day date, Microseconds time_of_day) {
  const std::chrono::hh_mm_ss time(time_of_day);
  std::tm fields{};
  fields.tm_year = static_cast<int>(date.year()) - 1900;
  fields.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  fields.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  fields.tm_hour = static_cast<int>(time.hours().count());
  fields.tm_min = static_cast<int>(time.minutes().count());
  fields.tm_sec = static_cast<int>(time.seconds().count());
  fields.tm_isdst = -1;
  fields.tm_wday = -1;  // stays so when mktime() fails; its return value -1 is a valid time, too
  const std::time_t seconds = std::mktime(&fields);
  if (fields.tm_wday == -1) return std::nullopt;
  return std::chrono::system_clock::from_time_t(seconds) + time.subseconds();
}

// A number of at least `digits` digits, with zeros in front.
std::string pad(long long number, std::size_t digits) {
  std::string text = std::to_string(number);
  return std::string(digits - std::min(text.size(), digits), '0') + text;
}

std::string infinite(sql::DatabaseTime time) {
  return time == sql::DatabaseTime::infinity() ? "infinity" : "-infinity";
}

// "2025-03-30" and "14:05:09", with `between` between them and `behind` behind them. There is no year 0: 1 BC
// comes before 1.
std::string print(const std::tm& fields, const char* between, const std::string& behind) {
  const long long year = fields.tm_year + 1900LL;
  std::array<char, 64> clock{};
  std::strftime(clock.data(), clock.size(), "%T", &fields);
  return pad(year > 0 ? year : 1 - year, 4) + "-" + pad(fields.tm_mon + 1, 2) + "-" + pad(fields.tm_mday, 2) +
         between + clock.data() + behind + (year > 0 ? "" : " BC");
}

}  // namespace

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  Scanner scanner(text);
  const auto date = scan_date(scanner);
  if (!date) return std::nullopt;
  if (scanner.at_end()) return from_local(*date, 0us);
  if (!scanner.take("Tt ")) return std::nullopt;
  const auto time_of_day = scan_time_of_day(scanner);
  if (!time_of_day) return std::nullopt;
  if (scanner.at_end()) return from_local(*date, *time_of_day);
  const auto offset = scan_offset(scanner);
  if (!offset || !scanner.at_end()) return std::nullopt;
  return std::chrono::sys_days(*date) + *time_of_day - *offset;
}

std::string to_local(sql::DatabaseTime time) {
  if (!time.is_finite()) return infinite(time);
  const std::time_t seconds = time.seconds();
  std::tm fields{};
  localtime_r(&seconds, &fields);
  return print(fields, " ", "." + pad(time.microseconds() / 1000, 3));
}

std::string to_iso(sql::DatabaseTime time) {
  if (!time.is_finite()) return infinite(time);
  const std::time_t seconds = time.seconds();
  std::tm fields{};
  gmtime_r(&seconds, &fields);
  return print(fields, "T", "." + pad(time.microseconds(), 6) + "Z");
}

}  // namespace postpone::cli

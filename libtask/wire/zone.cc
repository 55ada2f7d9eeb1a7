#include "libtask/wire/zone.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace libtask::wire {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

// Far from where arithmetic with times would overflow. Some files begin with the Big Bang.
constexpr std::int64_t kMostSeconds = std::int64_t{1} << 40;
constexpr std::size_t kMostBytes = std::size_t{1} << 20;

const std::vector<std::string>& directories() {
  static const std::vector<std::string> usual = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo",
                                                 "/usr/share/lib/zoneinfo", "/etc/zoneinfo"};
  static const char* const named = std::getenv("TZDIR");
  static const std::vector<std::string> one = {named != nullptr ? named : ""};
  return named != nullptr && *named != '\0' ? one : usual;
}

// Nothing when it is no file, or larger than any of a zone.
std::optional<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return std::nullopt;
  std::string bytes(kMostBytes + 1, '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get()) != 0 || bytes.size() > kMostBytes) return std::nullopt;
  return bytes;
}

bool has_zones(const std::string& directory) {
  return read_file(directory + "/Europe/London").has_value();
}

}  // namespace

// ---- the rule of times to come -------------------------------------------------------------------

class Zone::RuleReader {
 public:
  explicit RuleReader(std::string_view text) : rest_(text) {}

  Rule read() {
    Rule rule;
    skip_name();
    rule.standard = -read_time(24);  // POSIX counts to the west
    if (rest_.empty()) return rule;
    Daylight& daylight = rule.daylight.emplace();
    skip_name();
    daylight.offset = rest_.starts_with(',') ? rule.standard + 1h : -read_time(24);
    daylight.begin = read_day();
    daylight.end = read_day();
    if (!rest_.empty()) refuse();
    return rule;
  }

 private:
  [[noreturn]] static void refuse() { throw ZoneError("it has no rule for the times after its last line"); }

  bool takes(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  int number(int most) {
    int value = -1;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value = std::max(value, 0) * 10 + (rest_.front() - '0');
      if (value > most) refuse();
      rest_.remove_prefix(1);
    }
    if (value < 0) refuse();
    return value;
  }

  // "CET", "<+0330>"
  void skip_name() {
    const bool in_brackets = takes('<');
    std::size_t length = 0;
    const auto belongs = [in_brackets](char c) {
      return in_brackets ? c != '>' : std::isalpha(static_cast<unsigned char>(c)) != 0;
    };
    while (length < rest_.size() && belongs(rest_[length])) ++length;
    rest_.remove_prefix(length);
    if (length < 3 || (in_brackets && !takes('>'))) refuse();
  }

  // "5", "-3:30", "2:00:00"
  seconds read_time(int most_hours) {
    const bool is_negative = takes('-');
    if (!is_negative) takes('+');
    seconds time = std::chrono::hours(number(most_hours));
    if (takes(':')) time += std::chrono::minutes(number(59));
    if (takes(':')) time += seconds(number(59));
    return is_negative ? -time : time;
  }

  // ",M3.5.0/2", ",J60", ",59"
  Day read_day() {
    if (!takes(',')) refuse();
    Day day;
    if (takes('M')) {
      day.month = static_cast<unsigned>(number(12));
      if (!takes('.')) refuse();
      day.week = static_cast<unsigned>(number(5));
      if (!takes('.')) refuse();
      day.number = number(6);
      if (day.month == 0 || day.week == 0) refuse();
    } else {
      day.kind = takes('J') ? Day::Kind::of_common_year : Day::Kind::of_year;
      day.number = number(365);
      if (day.kind == Day::Kind::of_common_year && day.number == 0) refuse();
    }
    if (takes('/')) day.time = read_time(167);
    return day;
  }

  std::string_view rest_;
};

Zone::Time Zone::Day::in(std::chrono::year year) const {
  using namespace std::chrono;
  const sys_days new_year(year / January / 1);
  switch (kind) {
    case Kind::of_year:
      return new_year + days(number) + time;
    case Kind::of_common_year:
      return new_year + days(number - 1 + (year.is_leap() && number > 59 ? 1 : 0)) + time;
    case Kind::weekday:
      break;
  }
  const std::chrono::weekday weekday(static_cast<unsigned>(number));
  const auto in_month = year / std::chrono::month(month);
  return (week == 5 ? sys_days(in_month / weekday[last]) : sys_days(in_month / weekday[week])) + time;
}

Zone Zone::of_rule(std::string_view posix) {
  Zone zone;
  zone.rule_ = RuleReader(posix).read();
  zone.first_offset_ = zone.rule_->standard;
  return zone;
}

// ---- files ---------------------------------------------------------------------------------------

// A header and its data with times of 32 bits, then, since version 2, both again with 64 bits, and the rule.
class Zone::FileReader {
 public:
  explicit FileReader(std::string_view bytes) : rest_(bytes) {}

  Zone read() {
    Header header = read_header();
    if (header.version < '2') damaged();  // such files are older than this century's zones
    take(header.size(4));
    header = read_header();
    Zone zone;
    read_changes(header, zone);
    read_rule(zone);
    return zone;
  }

 private:
  struct Header {
    char version;
    std::uint64_t utc_flags, standard_flags, leaps, times, types, characters;
    std::size_t size(std::size_t time_bytes) const {
      return static_cast<std::size_t>(times * (time_bytes + 1) + types * 6 + characters +
                                      leaps * (time_bytes + 4) + standard_flags + utc_flags);
    }
  };

  [[noreturn]] static void damaged() { throw ZoneError("its file is damaged"); }

  std::string_view take(std::size_t size) {
    if (size > rest_.size()) damaged();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  static std::uint64_t number(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8U | static_cast<unsigned char>(byte);
    return value;
  }

  Header read_header() {
    if (take(4) != "TZif") damaged();
    Header header{};
    header.version = take(1).front();
    take(15);
    for (std::uint64_t* count : {&header.utc_flags, &header.standard_flags, &header.leaps, &header.times,
                                 &header.types, &header.characters})
      *count = number(take(4));
    if (header.types == 0) damaged();
    return header;
  }

  void read_changes(const Header& header, Zone& zone) {
    const std::string_view times = take(header.times * 8);
    const std::string_view types_of_times = take(header.times);
    const std::string_view types = take(header.types * 6);
    take(header.characters + header.leaps * 12 + header.standard_flags + header.utc_flags);
    const auto offset_of = [&](std::size_t type) {
      if (type >= header.types) damaged();
      return seconds(static_cast<std::int32_t>(number(types.substr(type * 6, 4))));
    };
    zone.first_offset_ = offset_of(0);
    for (std::size_t i = 0; i < header.times; ++i) {
      const auto at = static_cast<std::int64_t>(number(times.substr(i * 8, 8)));
      const seconds offset = offset_of(static_cast<unsigned char>(types_of_times[i]));
      if (at < -kMostSeconds) {
        zone.first_offset_ = offset;
      } else if (at <= kMostSeconds) {
        zone.changes_.push_back({Time(seconds(at)), offset});
      }
    }
    const auto is_later = [](const Change& a, const Change& b) { return a.at >= b.at; };
    if (std::adjacent_find(zone.changes_.begin(), zone.changes_.end(), is_later) != zone.changes_.end())
      damaged();
  }

  void read_rule(Zone& zone) {
    if (take(1) != "\n") damaged();
    const std::size_t end = rest_.find('\n');
    if (end == std::string_view::npos) damaged();
    if (end > 0) zone.rule_ = RuleReader(rest_.substr(0, end)).read();
  }

  std::string_view rest_;
};

Zone Zone::parse(std::string_view bytes) {
  return FileReader(bytes).read();
}

bool Zone::is_name(std::string_view name) {
  constexpr std::size_t kMostCharacters = 64;
  const bool is_plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '/' || c == '_' || c == '-' || c == '+';
  });
  return !name.empty() && name.size() <= kMostCharacters && is_plain && name.front() != '/' &&
         name != "localtime" && name != "posixrules";
}

Zone Zone::load(const std::string& name) {
  if (name == "UTC") return {};
  const std::string quoted = "\"" + name + "\"";
  if (!is_name(name)) throw ZoneError(quoted + " cannot be a time zone; write one such as \"Europe/Paris\"");
  std::string searched;
  for (const std::string& directory : directories()) {
    const auto bytes = read_file(directory + "/" + name);
    try {
      if (bytes) return parse(*bytes);
    } catch (const ZoneError& error) {
      throw ZoneError("time zone " + quoted + ": " + error.what() + " (" + directory + "/" + name + ")");
    }
    if (has_zones(directory)) searched = directory;
  }
  if (searched.empty())
    throw ZoneError("time zone " + quoted + " cannot be looked up, since this host has no zoneinfo (" +
                    directories().front() + "); install the package tzdata");
  throw ZoneError("there is no time zone " + quoted + " in " + searched);
}

// ---- periods -------------------------------------------------------------------------------------

// The last change of the file, and the rule's changes after it in the years around `time`.
std::vector<Zone::Change> Zone::changes_around(Time time) const {
  std::vector<Change> changes;
  const auto last = changes_.empty() ? std::nullopt : std::optional(changes_.back());
  if (last) changes.push_back(*last);
  if (!rule_->daylight) return changes;
  const Daylight& daylight = *rule_->daylight;
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(time));
  std::vector<Change> ruled;
  for (int step = -2; step <= 2; ++step) {
    const std::chrono::year year = day.year() + std::chrono::years(step);
    ruled.push_back({daylight.begin.in(year)-rule_->standard, daylight.offset});
    ruled.push_back({daylight.end.in(year)-daylight.offset, rule_->standard});
  }
  std::sort(ruled.begin(), ruled.end(), [](const Change& a, const Change& b) { return a.at < b.at; });
  for (const Change& change : ruled)
    if (!last || change.at > last->at) changes.push_back(change);
  return changes;
}

Zone::Period Zone::period_at(Time time) const {
  const bool by_rule = rule_ && (changes_.empty() || time >= changes_.back().at);
  const std::vector<Change> around = by_rule ? changes_around(time) : std::vector<Change>();
  const std::vector<Change>& changes = by_rule ? around : changes_;
  const auto next = std::upper_bound(changes.begin(), changes.end(), time,
                                     [](Time t, const Change& change) { return t < change.at; });
  Period period;
  period.offset = next == changes.begin() ? first_offset_ : std::prev(next)->offset;
  if (next != changes.begin()) period.begin = std::prev(next)->at;
  if (next != changes.end()) period.end = next->at;
  return period;
}

}  // namespace libtask::wire

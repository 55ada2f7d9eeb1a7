// Time zones: which offset from UTC a place has at a moment, as the files of the host's zoneinfo (TZif, RFC
// 8536) say. A small reader of its own: std::chrono's came with GCC 14, and the database would have to be
// asked for every tick, though a configuration is checked without one.
//
// Beyond its last line each such file has a rule (a POSIX TZ text, "CET-1CEST,M3.5.0,M10.5.0/3"), so offsets
// are known for all years to come.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace libtask::wire {

// what() is a sentence that names the zone: "there is no time zone \"Europe/Pariss\" in /usr/share/zoneinfo".
class ZoneError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Zone {
 public:
  using Time = std::chrono::sys_seconds;

  // UTC, which needs no file.
  Zone() = default;
  // "Europe/Paris", "UTC": from the directory in TZDIR, or else from the usual ones. Throws ZoneError.
  static Zone load(const std::string& name);
  // From the bytes of a TZif file, or from a POSIX TZ text. Pure. Both throw ZoneError.
  static Zone parse(std::string_view bytes);
  static Zone of_rule(std::string_view posix);

  // Whether a zone may be called so, on whatever host: "localtime", which is another one on each host, is no
  // name, nor is a path.
  static bool is_name(std::string_view name);

  // From `begin` on, before `end`, the clocks of the zone show UTC + offset. Nothing = for ever.
  struct Period {
    std::optional<Time> begin;
    std::optional<Time> end;
    std::chrono::seconds offset{0};
  };
  Period period_at(Time time) const;

 private:
  // A day of each year: the n-th weekday of a month (n = 5: the last), a day of the year from 0 on, or from 1
  // on without 29 February.
  struct Day {
    enum class Kind { weekday, of_year, of_common_year } kind = Kind::weekday;
    unsigned month = 1;
    unsigned week = 1;
    int number = 0;  // of the weekday, 0 = Sunday, or of the day
    std::chrono::seconds time{7200};
    Time in(std::chrono::year year) const;  // as the clocks show it
  };
  struct Daylight {
    std::chrono::seconds offset{0};
    Day begin;
    Day end;
  };
  struct Rule {
    std::chrono::seconds standard{0};
    std::optional<Daylight> daylight;
  };
  struct Change {
    Time at;
    std::chrono::seconds offset{0};  // from then on
  };
  class RuleReader;
  class FileReader;

  std::vector<Change> changes_around(Time time) const;

  std::chrono::seconds first_offset_{0};  // before all changes
  std::vector<Change> changes_;           // by time
  std::optional<Rule> rule_;              // after the last change
};

}  // namespace libtask::wire

#include "cli/options/due_time.h"

#include "cli/options/parser.h"
#include "config/config.h"

namespace postpone::cli {
namespace {

constexpr auto kLongestWait = std::chrono::days(36'525);

void set_at(DueTime& due, const std::string& text) {
  due.at = parse_timestamp(text);
  if (due.at) return;
  throw UsageError(
      "--at", "\"" + text +
                  "\" is no time from 1678 to 2261; write 2025-03-30T14:05:00+02:00, or 2025-03-30T14:05 for "
                  "local time");
}

void set_in(DueTime& due, const std::string& text) {
  due.in = config::parse_duration(text);
  if (!due.in) {
    throw UsageError("--in", "\"" + text + "\" is no duration; write 500ms, 30s, 5m or 2h");
  }
  if (*due.in > kLongestWait) {
    throw UsageError("--in", "\"" + text + "\" is longer than a hundred years (36525d)");
  }
}

}  // namespace

void add_due_time_options(Command& command, DueTime& due) {
  Option* at = command.add_option_function<std::string>(
      "--at", [&due](const std::string& text) { set_at(due, text); },
      "Run it at this time: ISO 8601, with a zone or else local");
  Option* in = command.add_option_function<std::string>(
      "--in", [&due](const std::string& text) { set_in(due, text); },
      "Run it so long from now: 500ms, 30s, 5m, 2h");
  at->type_name("TIME")->excludes(in);
  in->type_name("DURATION");
}

}  // namespace postpone::cli

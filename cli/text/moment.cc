#include "cli/text/moment.h"

#include <CLI/CLI.hpp>

#include "config/config.h"

namespace postpone::cli {
namespace {

constexpr auto kLongestWait = std::chrono::days(36'525);

void set_at(Moment& moment, const std::string& text) {
  moment.at = parse_timestamp(text);
  if (moment.at) return;
  throw CLI::ValidationError(
      "--at", "\"" + text +
                  "\" is no time from 1678 to 2261; write 2025-03-30T14:05:00+02:00, or 2025-03-30T14:05 for "
                  "local time");
}

void set_in(Moment& moment, const std::string& text) {
  moment.in = config::parse_duration(text);
  if (!moment.in) {
    throw CLI::ValidationError("--in", "\"" + text + "\" is no duration; write 500ms, 30s, 5m or 2h");
  }
  if (*moment.in > kLongestWait) {
    throw CLI::ValidationError("--in", "\"" + text + "\" is longer than a hundred years (36525d)");
  }
}

}  // namespace

void add_moment_options(CLI::App& command, Moment& moment) {
  CLI::Option* at = command.add_option_function<std::string>(
      "--at", [&moment](const std::string& text) { set_at(moment, text); },
      "Run it at this time: ISO 8601, with a zone or else local");
  CLI::Option* in = command.add_option_function<std::string>(
      "--in", [&moment](const std::string& text) { set_in(moment, text); },
      "Run it so long from now: 500ms, 30s, 5m, 2h");
  at->type_name("TIME")->excludes(in);
  in->type_name("DURATION");
}

}  // namespace postpone::cli

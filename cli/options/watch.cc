#include "cli/options/watch.h"

#include <unistd.h>

#include <iostream>
#include <thread>
#include <utility>

#include "cli/command.h"
#include "cli/connect.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/screen/frame.h"
#include "cli/screen/terminal.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

constexpr double kShortest = 0.1;
constexpr double kLongest = 86'400;

// The page that `draw` returns; after the first page, an error of the connection is a page, too.
std::string page_of(const std::function<std::string()>& draw, bool first) {
  try {
    return draw();
  } catch (const sql::DatabaseError& error) {
    if (first || !is_unreachable(error)) throw;
    return printable(error.what()) + "; trying again\n";
  }
}

void watch_on_terminal(std::chrono::duration<double> interval, const std::function<std::string()>& draw) {
  for (std::size_t lines = 0, round = 0; std::cout; ++round) {
    const Frame frame = frame_over(lines, page_of(draw, round == 0), terminal_size().value_or(ScreenSize()));
    lines = frame.lines;
    std::cout << frame.text << std::flush;
    std::this_thread::sleep_for(interval);
  }
}

void add_watch_option(Command& command, Watch& watch) {
  decimal(command
              .add_option_function<double>(
                  "--watch",
                  [&watch](double seconds) { watch.interval = std::chrono::duration<double>(seconds); },
                  "Show it again and again, every so many seconds [2]; Ctrl-C ends it")
              ->type_name("[SECONDS]")
              ->expected(0, 1)
              ->default_str("2"),
          kShortest, kLongest);
}

ExitCode show(const Watch& watch, const std::function<std::string()>& draw) {
  if (!watch.interval) {
    std::cout << draw();
    return ExitCode::done;
  }
  if (isatty(STDOUT_FILENO) == 1) {
    watch_on_terminal(*watch.interval, draw);
    return ExitCode::done;  // the terminal is gone, which main() reports
  }
  for (bool first = true; std::cout; first = false) {
    std::cout << (first ? "" : "\n") << page_of(draw, first) << std::flush;
    std::this_thread::sleep_for(*watch.interval);
  }
  return ExitCode::done;  // standard output failed, which main() reports
}

}  // namespace

void add_watched_page(Command& command, Invocation& invocation, Watch& watch,
                      std::function<std::string()> draw) {
  add_watch_option(command, watch);
  command.final_callback([&invocation, &watch, draw = std::move(draw)] {
    invocation.run = [&watch, draw] { return show(watch, draw); };
  });
}

}  // namespace postpone::cli

// postpone top
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "cli/command.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/screen/terminal.h"
#include "cli/status/status_client.h"
#include "cli/status/top_page.h"
#include "cli/text/colour.h"
#include "config/config.h"

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct TopCommand {
  std::string socket;
  config::Milliseconds interval{1000};
  int count = 0;  // pages; 0 = until q, or a signal
  TopSort sort = TopSort::elapsed;
};

// `top` on a terminal. A key redraws the page that is there already, at once, also while the supervisor
// hangs.
class LiveTop {
 public:
  // Asks the supervisor before the screen is taken, so that the terminal keeps the text of an error.
  LiveTop(std::string socket, const TopCommand& command)
      : socket_(std::move(socket)), command_(command), now_(fetch_status(socket_)) {}

  void run() {
    const FullScreen screen;
    for (int pages = 1;; ++pages) {
      if (!show_until(Clock::now() + command_.interval)) return;
      if (pages == command_.count || !look_again()) return;
    }
  }

 private:
  void draw() {
    drawn_for_ = terminal_size().value_or(ScreenSize());
    FullScreen::draw(
        top_page(now_, before_, {command_.sort, true, trouble_, is_coloured(STDOUT_FILENO)}, drawn_for_));
  }

  // False when the program is to end.
  bool obey(std::optional<char> key) {
    if (key == 'q' || FullScreen::wants_to_end()) return false;
    if (key) command_.sort = top_sort_of(*key).value_or(command_.sort);
    return true;
  }

  bool show_until(Clock::time_point until) {
    for (;;) {
      draw();
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
      if (left <= 0ms) return true;
      if (!obey(FullScreen::key(left))) return false;
    }
  }

  // Answers keys and a changed window while the supervisor's answer is on its way. False when the program is
  // to end.
  bool heed() {
    bool is_old = terminal_size().value_or(ScreenSize()) != drawn_for_;
    while (FullScreen::is_called()) {
      if (!obey(FullScreen::key(0ms))) return false;
      is_old = true;
    }
    if (is_old) draw();
    return true;
  }

  bool look_again() {
    try {
      before_ = std::exchange(now_, fetch_status(socket_, [this] { return !heed(); }));
      trouble_.clear();
    } catch (const Interrupted&) {
      return false;
    } catch (const Failure& failure) {
      // The supervisor may be about to restart: the last page stays, and says that it is out of date.
      trouble_ = std::string("NOT NOW: ") + failure.what();
    }
    return true;
  }

  const std::string socket_;
  TopCommand command_;
  nlohmann::json now_;
  nlohmann::json before_;
  std::string trouble_;
  ScreenSize drawn_for_;
};

ExitCode top_listing(const std::string& socket, const TopCommand& command) {
  nlohmann::json before;
  for (int pages = 1;; ++pages) {
    nlohmann::json now = fetch_status(socket);
    std::cout << (pages > 1 ? "\n" : "")
              << top_page(now, before, {command.sort, false, "", is_coloured(STDOUT_FILENO)}, {})
              << std::flush;
    if (!std::cout) return ExitCode::done;  // the reader is gone, which main() reports
    if (pages == command.count) return ExitCode::done;
    before = std::move(now);
    std::this_thread::sleep_for(command.interval);
  }
}

ExitCode top(const Invocation& invocation, const TopCommand& command) {
  const std::string socket = status_socket(command.socket, invocation.config_file);
  const bool live = terminal_size() && ::isatty(STDIN_FILENO) != 0;
  if (!live) return top_listing(socket, command);
  LiveTop(socket, command).run();
  return ExitCode::done;
}

void set_interval(config::Milliseconds& interval, const std::string& text) {
  const auto duration = config::parse_duration(text);
  if (!duration || *duration < 100ms || *duration > 24h)
    throw UsageError("--interval",
                     "\"" + text + "\" is no duration from 100ms to 24h; write 500ms, 2s or 1m");
  interval = *duration;
}

}  // namespace

void add_top_command(Command& app, Invocation& invocation) {
  Command* command =
      app.add_subcommand("top", "Show the sub-workers of a supervisor, live; a listing when it is piped");
  const auto options = std::make_shared<TopCommand>();
  nonempty(
      command->add_option("--socket", options->socket, "The supervisor's status socket, instead of --config")
          ->type_name("PATH"));
  command
      ->add_option_function<std::string>(
          "--interval", [options](const std::string& text) { set_interval(options->interval, text); },
          "How often to look [1s]")
      ->type_name("DURATION");
  whole_number(command->add_option("--count", options->count, "End after so many pages; 0: never [0]")
                   ->type_name("NUMBER"),
               0, 1'000'000'000);
  command
      ->add_option_function<std::string>(
          "--sort", [options](const std::string& key) { options->sort = *top_sort_of(key.front()); },
          "Sort by this [elapsed]")
      ->choices({"elapsed", "memory", "cpu", "jobs", "task", "slot"})
      ->type_name("KEY");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return top(invocation, *options); };
  });
}

}  // namespace postpone::cli

// A terminal that a program redraws in place.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace postpone::cli {

// Of a terminal; 0 = no limit.
struct ScreenSize {
  std::size_t width = 0;
  std::size_t height = 0;
  bool operator==(const ScreenSize&) const = default;
};

// Of the terminal on this descriptor, standard output; nothing when it is none.
std::optional<ScreenSize> terminal_size(int descriptor = 1);

// Takes the terminal for itself: another screen, no cursor, keys without echo. Gives it back as it was, also
// when a signal tells the program to end, if whoever uses this leaves on wants_to_end(); and while it is
// stopped. There can be one at a time.
class FullScreen {
 public:
  // Throws std::system_error when standard input and output are no terminal.
  FullScreen();
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  // Shows the page in place of the last one, without flicker.
  static void draw(const std::string& page);
  // The next key; nothing when none was pressed in time, or the window has another size, or a signal came.
  static std::optional<char> key(std::chrono::milliseconds limit);
  // Whether a key waits to be read, or a signal has come that wants to end this.
  static bool is_called();
  // SIGTERM, SIGINT, SIGQUIT or SIGHUP came, or Ctrl-C.
  static bool wants_to_end();
};

}  // namespace postpone::cli

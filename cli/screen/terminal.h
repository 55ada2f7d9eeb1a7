// The size of a terminal, and a program that takes the whole screen (`postpone top`).
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace postpone::cli {

// In columns and lines; 0 = no limit.
struct ScreenSize {
  std::size_t width = 0;
  std::size_t height = 0;
  bool operator==(const ScreenSize&) const = default;
};

// The size of the terminal on this descriptor, by default standard output; nothing when it is no terminal.
std::optional<ScreenSize> terminal_size(int descriptor = 1);

// Takes the whole terminal: another screen, no cursor, keys without echo. The destructor gives it back as it
// was; a program that ends its loop on wants_to_end() gets there also after a signal. While the program is
// stopped (Ctrl-Z of a shell), the terminal is given back as well. There can be one FullScreen at a time.
class FullScreen {
 public:
  // Throws std::system_error when standard input and output are no terminal.
  FullScreen();
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  // Shows the page in place of the one before, without flicker.
  static void draw(const std::string& page);
  // Waits for a key for so long; nothing when none was pressed, or the window has changed its size, or a
  // signal came.
  static std::optional<char> key(std::chrono::milliseconds limit);
  // Whether key() would return at once: a key waits to be read, or wants_to_end().
  static bool is_called();
  // Whether SIGTERM, SIGINT, SIGQUIT or SIGHUP came, or Ctrl-C was pressed.
  static bool wants_to_end();
};

}  // namespace postpone::cli

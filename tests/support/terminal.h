// A terminal for tests: a program runs on it, and what somebody sitting there would see can be asked.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sys/fd.h"

namespace postpone::tests {

// What a terminal of this size shows of the bytes that it gets: as much of xterm as our programs speak. It
// has two screens, as xterm, and remembers of each what must not happen.
class Screen {
 public:
  Screen(std::size_t width, std::size_t height);

  void take(const std::string& bytes);
  void resize(std::size_t width, std::size_t height);

  // The lines of the screen that is shown, without blanks at their ends; all in one, each with a newline.
  std::string text() const;
  bool is_other() const { return other_; }            // "\x1b[?1049h"
  bool has_cursor() const { return cursor_; }         // "\x1b[?25l"
  std::size_t wrapped() const { return wrapped_; }    // lines that were longer than the terminal is wide
  std::size_t scrolled() const { return scrolled_; }  // lines that went out at the top

 private:
  using Row = std::vector<std::string>;  // a cell's character; none in the second cell of a wide one

  void take_character(const std::string& character);
  std::size_t take_sequence(const std::string& bytes);
  void obey(const std::string& parameters, char command);
  void clear();
  void next_line();

  std::size_t width_;
  std::size_t height_;
  std::vector<Row> rows_;
  std::size_t row_ = 0;
  std::size_t column_ = 0;  // the width, when the last cell was written and the next character will wrap
  bool other_ = false;
  bool cursor_ = true;
  std::size_t wrapped_ = 0;
  std::size_t scrolled_ = 0;
  std::string incomplete_;  // of a character or a sequence
};

// A pseudo terminal, the program on it, and its screen. What still runs at the end is killed.
class Terminal {
 public:
  // The program leads a session of its own, whose terminal this is. An empty value unsets a name.
  Terminal(const std::vector<std::string>& command,
           const std::vector<std::pair<std::string, std::string>>& environment, std::size_t width = 80,
           std::size_t height = 24);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys) const;
  void resize(std::size_t width, std::size_t height);
  // Reads what comes until this holds. False when it does not, after long.
  bool until(const std::function<bool()>& condition);
  // Until the screen shows this text.
  bool shows(const std::string& text);
  // Reads until the program has ended: its exit status, 128 + the signal's number for one; nothing when it
  // does not end.
  std::optional<int> ended();

  pid_t pid() const { return pid_; }
  const Screen& screen() const { return screen_; }
  const std::string& bytes() const { return bytes_; }  // all that has come
  bool has_ordinary_keys() const;                      // by the line, with echo and Ctrl-C

 private:
  void read_for(std::chrono::milliseconds limit);

  Screen screen_;
  sys::Fd fd_;
  pid_t pid_ = -1;
  std::optional<int> status_;
  std::string bytes_;
};

}  // namespace postpone::tests

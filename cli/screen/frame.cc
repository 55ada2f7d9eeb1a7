#include "cli/screen/frame.h"

#include <sstream>
#include <vector>

#include "cli/text/text.h"

namespace postpone::cli {

Frame frame_over(std::size_t lines_before, const std::string& page, ScreenSize size) {
  std::vector<std::string> lines;
  std::istringstream text(page);
  for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
  // The cursor needs the last line of the terminal; a page on that line would scroll the first line away.
  const std::size_t room = size.height > 1 ? size.height - 1 : lines.size();
  if (lines.size() > room) {
    const std::size_t left_out = lines.size() - room + 1;
    lines.resize(room);
    lines.back() = "(" + std::to_string(left_out) + " more lines; the terminal is too low)";
  }
  Frame frame{"", lines.size()};
  if (lines_before > 0) frame.text += "\x1b[" + std::to_string(lines_before) + "A\r";
  // The rest of a line is cleared before its text is written. After a text that reaches the last column the
  // cursor stays on that column, and clearing would delete the last character.
  for (const std::string& line : lines)
    frame.text += "\x1b[K" + (size.width > 0 ? cut(line, size.width) : line) + "\n";
  frame.text += "\x1b[J";
  return frame;
}

}  // namespace postpone::cli

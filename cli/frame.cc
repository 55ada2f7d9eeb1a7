#include "cli/frame.h"

#include <sstream>
#include <vector>

namespace postpone::cli {

Frame frame_over(std::size_t lines_before, const std::string& picture, std::size_t height) {
  std::vector<std::string> lines;
  std::istringstream text(picture);
  for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
  // The last line of the terminal is the cursor's, which would scroll the first one away.
  const std::size_t room = height > 1 ? height - 1 : lines.size();
  if (lines.size() > room) {
    const std::size_t left_out = lines.size() - room + 1;
    lines.resize(room);
    lines.back() = "(" + std::to_string(left_out) + " more lines; the terminal is too low)";
  }
  Frame frame{"", lines.size()};
  // Without wrapping: a line that is too long would take two, and the next picture would miss one.
  frame.text += "\x1b[?7l";
  if (lines_before > 0) frame.text += "\x1b[" + std::to_string(lines_before) + "A\r";
  for (const std::string& line : lines) frame.text += line + "\x1b[K\n";
  frame.text += "\x1b[J\x1b[?7h";
  return frame;
}

}  // namespace postpone::cli

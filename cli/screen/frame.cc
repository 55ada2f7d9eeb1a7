#include "cli/screen/frame.h"

#include <sstream>
#include <vector>

#include "cli/text/text.h"

namespace postpone::cli {

Frame frame_over(std::size_t lines_before, const std::string& picture, ScreenSize size) {
  std::vector<std::string> lines;
  std::istringstream text(picture);
  for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
  // The last line of the terminal is the cursor's, which would scroll the first one away.
  const std::size_t room = size.height > 1 ? size.height - 1 : lines.size();
  if (lines.size() > room) {
    const std::size_t left_out = lines.size() - room + 1;
    lines.resize(room);
    lines.back() = "(" + std::to_string(left_out) + " more lines; the terminal is too low)";
  }
  Frame frame{"", lines.size()};
  if (lines_before > 0) frame.text += "\x1b[" + std::to_string(lines_before) + "A\r";
  // Wiped first: behind the last column, that would take the last character.
  for (const std::string& line : lines)
    frame.text += "\x1b[K" + (size.width > 0 ? cut(line, size.width) : line) + "\n";
  frame.text += "\x1b[J";
  return frame;
}

}  // namespace postpone::cli

// Pictures that a terminal shows one over the other.
#pragma once

#include <cstddef>
#include <string>

#include "cli/screen/terminal.h"

namespace postpone::cli {

// What moves the cursor of a terminal of that size from the end of a picture to its beginning, and the next
// picture with what wipes the lines before each of its own. Lines are cut to the width, since one that wraps
// would take two, and the next picture would begin too low. (To switch wrapping off instead would leave it
// off when somebody presses Ctrl-C at the wrong moment.) Lines that do not fit the height are left out, and
// that is said. Pure.
struct Frame {
  std::string text;
  std::size_t lines = 0;  // of the picture; the cursor stands below them
};
Frame frame_over(std::size_t lines_before, const std::string& picture, ScreenSize size);

}  // namespace postpone::cli

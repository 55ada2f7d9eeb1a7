// Pictures that a terminal shows one over the other.
#pragma once

#include <cstddef>
#include <string>

namespace postpone::cli {

// What moves the cursor of a terminal of `height` lines from the end of a picture to its beginning, and the
// next picture with what wipes the rest of each of its lines. What does not fit is left out, and said so;
// nothing is for a height of 0. Pure.
struct Frame {
  std::string text;
  std::size_t lines = 0;  // of the picture; the cursor stands below them
};
Frame frame_over(std::size_t lines_before, const std::string& picture, std::size_t height);

}  // namespace postpone::cli

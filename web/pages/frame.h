// What stands around every page: navigation, search, theme, footer.
#pragma once

#include <string>

#include "web/page.h"

namespace postpone::web {

struct FrameOptions {
  std::string theme;    // light, dark; empty = as the system
  std::string target;   // the address of this page, for the way back from a change of the theme
  bool is_live = true;  // may be followed
};

// The whole document.
std::string framed(const Page& page, const FrameOptions& options);

}  // namespace postpone::web

// JSON as people read it.
#pragma once

#include <string_view>

#include "web/html/html.h"

namespace postpone::web {

// Indented, names and strings marked; nothing of it changes, numbers least of all. Of a text that is no JSON, or
// that is longer than 64 KiB, what cannot be told apart stays as it is.
Html coloured_json(std::string_view text);

}  // namespace postpone::web

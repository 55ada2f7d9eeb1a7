// JSON as people read it.
#pragma once

#include <string_view>

#include "web/html/html.h"

namespace postpone::web {

// Indented, names and strings marked; nothing of it changes, numbers least of all. Of a text that is no JSON, or
// that is longer than 40 KiB, what cannot be told apart stays as it is. Never more than some 240 KiB; what has no room is
// counted.
Html coloured_json(std::string_view text);

}  // namespace postpone::web

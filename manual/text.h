// Replacing parts of a text.
#pragma once

#include <string>
#include <string_view>

namespace postpone::manual {

// The text with `replacement` in the place of each `part`.
std::string replaced(std::string text, std::string_view part, std::string_view replacement);

}  // namespace postpone::manual

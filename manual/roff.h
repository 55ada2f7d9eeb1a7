// Text for the man macros of groff and mandoc.
#pragma once

#include <string>
#include <string_view>

namespace postpone::manual {

// Escapes the text so that a reader sees it unchanged, wherever in a line it stands: a '-' can be searched
// for and copied, no quote becomes a typographic one, and no leading '.' becomes a macro. REQUIRES: valid
// UTF-8.
std::string literal(std::string_view text);

// The same, but text between backticks becomes bold, and loses the backticks.
std::string prose(std::string_view text);

std::string bold(std::string_view text);
std::string italic(std::string_view text);

// A line that calls a macro with one argument: .SH "NAME". REQUIRES: the argument is escaped already.
std::string macro(std::string_view name, std::string_view argument);

}  // namespace postpone::manual

// Manual pages. A page is a file packaging/pages/NAME.SECTION.in with lines such as @COMMANDS@; these
// functions replace such lines by what the program's command line, or the reference of the configuration,
// says.
#pragma once

#include <string>

#include "manual/command_tree.h"

namespace postpone::manual {

// Fills in @SYNOPSIS@ (of a program without commands), @COMMANDS@ (each with its options) and @OPTIONS@ (of
// the program itself) from the program's command line, and @VERSION@.
std::string program_page(const std::string& page, const Command& program);

// Fills in @KEYS@, with every section and key of config/reference.toml, and @VERSION@. The reference
// describes its form at its head; throws std::runtime_error where it does not keep to that.
std::string configuration_page(const std::string& page, const std::string& reference);

// Fills in @VERSION@ only. The two functions above call this.
std::string with_version(const std::string& page);

}  // namespace postpone::manual

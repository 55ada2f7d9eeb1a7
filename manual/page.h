// Manual pages. What a program or a file itself knows is generated; the rest stands in
// manual/NAME.SECTION.in, a manual page in which lines such as @COMMANDS@ are filled in.
#pragma once

#include <string>

#include "manual/command_tree.h"

namespace postpone::manual {

// @SYNOPSIS@ (of a program without commands), @COMMANDS@ (each with its options) and @OPTIONS@ (of the
// program itself), from the program's command line; @VERSION@.
std::string program_page(const std::string& page, const Command& program);

// @KEYS@: every section and key of config/reference.toml, whose form is told at its head; @VERSION@. Throws
// std::runtime_error where the reference has another form.
std::string configuration_page(const std::string& page, const std::string& reference);

// The page with this build's version in the place of @VERSION@; of the two above.
std::string with_version(const std::string& page);

}  // namespace postpone::manual

// The configuration file of a supervisor, for the commands that take --config.
#pragma once

#include <string>

#include "config/config.h"

namespace postpone::cli {

// Reads the file, the first time that a command asks for this path: the file may be a pipe, which gives its
// text once. (A command with --watch keeps the configuration that it began with.)
const config::ParseResult& load_configuration(const std::string& path);

}  // namespace postpone::cli

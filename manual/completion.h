// Completion scripts: what a shell loads to complete a program's command line. Each script holds all it
// needs, so that completing starts no program and asks no database.
//
// All three offer the commands of every level, options (also those of the commands above), the words that a
// value may be (also behind each comma of a list), and files for a value that is a file. zsh and fish show
// the descriptions.
#pragma once

#include <string>
#include <string_view>

#include "manual/command_tree.h"

namespace postpone::manual {

std::string bash_completion(const Command& program);
std::string zsh_completion(const Command& program);
std::string fish_completion(const Command& program);

// For the shell of this name. REQUIRES: it is bash, zsh or fish.
std::string completion(const Command& program, std::string_view shell);

// --- what the scripts have in common ---

// The text as one word of a shell, in single quotes. fish obeys a backslash within these, so it is doubled
// there.
std::string shell_quoted(const std::string& text);
std::string fish_quoted(const std::string& text);
// The words with a space between each two.
std::string joined(const std::vector<std::string>& words);
// A name for a function: "postpone jobs list" becomes postpone_jobs_list.
std::string identifier(const std::string& path);
// Replaces each %PROGRAM% by the name of the program, and each @@ by the prefix of its functions' names.
std::string with_functions(const std::string& text, const Command& program);

}  // namespace postpone::manual

// Completion scripts: what a shell loads to complete a program's command line. Each script holds all it
// needs, so that completing starts no program and asks no database.
//
// All three offer commands at every level, options (those of the commands above too), the words that a value
// may be, behind each comma of a list too, and files where a file is meant. zsh and fish show the
// descriptions.
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

// As one word of a shell, in single quotes. In fish, where a backslash counts within them, it is doubled.
std::string quoted(const std::string& text);
std::string fish_quoted(const std::string& text);
// The words with a space between each two.
std::string joined(const std::vector<std::string>& words);
// A name for functions: "postpone jobs list" is postpone_jobs_list.
std::string identifier(const std::string& path);
// The text with the name of the program in the place of each %PROGRAM%, and in the place of each @@ what its
// functions' names begin with.
std::string with_functions(const std::string& text, const Command& program);

}  // namespace postpone::manual

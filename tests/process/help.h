// What `--help` says there is, command by command: the program's own word, which completion and manual pages
// are held against.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace postpone::tests {

struct Help {
  std::string path;                             // "postpone jobs list"
  std::vector<std::string> options;             // the long names: "--queue"
  std::map<std::string, std::string> commands;  // beneath it, with their descriptions
};

// Of a program, and of every command beneath it.
std::vector<Help> walk_help(const std::string& program);

}  // namespace postpone::tests

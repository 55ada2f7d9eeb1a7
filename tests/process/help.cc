#include "help.h"

#include <regex>
#include <sstream>

#include "tests/support/program.h"

namespace postpone::tests {
namespace {

void read_option(Help& help, const std::string& line) {
  static const std::regex form("^  (?:-\\w,)?(--[\\w-]+).*");
  if (std::smatch match; std::regex_match(line, match, form)) help.options.push_back(match[1]);
}

void read_command(Help& help, const std::string& line) {
  static const std::regex form("^  (\\S+) +(.*)");
  if (std::smatch match; std::regex_match(line, match, form)) help.commands[match[1]] = match[2];
}

Help read_help(const std::string& path, const std::string& text) {
  Help help;
  help.path = path;
  std::istringstream lines(text);
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with(':')) section = line;
    if (line.empty()) section.clear();
    if (section == "Options:") read_option(help, line);
    if (section == "Subcommands:") read_command(help, line);
  }
  return help;
}

void walk(const std::vector<std::string>& words, const std::string& path, std::vector<Help>& found) {
  std::vector<std::string> line = words;
  line.emplace_back("--help");
  const Help help = read_help(path, run_program(line).output);
  found.push_back(help);
  line.pop_back();
  for (const auto& [command, description] : help.commands) {
    line.push_back(command);
    std::string path_below = path;
    walk(line, path_below.append(" ").append(command), found);
    line.pop_back();
  }
}

}  // namespace

std::vector<Help> walk_help(const std::string& program) {
  std::vector<Help> found;
  walk({program}, program.substr(program.rfind('/') + 1), found);
  return found;
}

}  // namespace postpone::tests

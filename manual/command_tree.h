// A program's command line as plain data, taken from its CLI11 definition. Completion and manual pages are
// made of this data, so that they always describe the command line that the program parses. CLI11 stays in
// command_tree.cc.
//
// Two conventions say what CLI11 has no place for:
//   - A value called FILE or PATH is a file.
//   - The words that a value may be stand behind the option's type name, as KEY:{elapsed,memory}.
//     CLI::IsMember writes them there. An option whose own callback checks the words, because it has more to
//     say about a wrong one, writes them there itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace postpone::manual {

struct Value {
  std::string name = {};                  // for people: FILE
  std::vector<std::string> choices = {};  // the only words that it may be; empty: any text
  std::string range = {};                 // "0 to 100", empty without one
  bool is_file = false;
  bool is_optional = false;  // the option may stand alone: --watch [SECONDS]
  bool is_list = false;      // several words, separated by commas
};

struct Option {
  std::vector<std::string> names = {};  // as they are typed, short ones first: "-c", "--config"
  std::string description = {};
  std::optional<Value> value = {};  // nothing: a flag
  std::string default_text = {};    // empty where there is none, or where the description names it
  bool is_required = false;
};

struct Positional {
  Value value = {};
  std::string description = {};
  bool is_required = false;
  bool is_repeated = false;
};

struct Command {
  std::string path = {};  // "postpone jobs list"
  std::string name = {};  // "list"
  std::string description = {};
  std::vector<Option> options = {};
  std::vector<Option> inherited = {};  // options of the commands above, which may stand here too
  std::vector<Positional> positionals = {};
  std::vector<Command> commands = {};
};

// Throws std::logic_error when an option takes a value in one command and none in another: the completion
// scripts could not distinguish options from values then.
Command describe(const CLI::App& app);

// The command and all commands below it; each stands before its own subcommands.
std::vector<const Command*> flattened(const Command& command);

}  // namespace postpone::manual

// A program's command line as plain data, taken from its CLI11 definition: completion and manual pages are
// made of it, and so can never tell of another command line than the one that is parsed. CLI11 stays in
// command_tree.cc.
//
// What CLI11 has no place for is told by convention:
//   - A value called FILE or PATH is a file.
//   - The words that a value may be are those of CLI::IsMember, which it writes behind the option's type
//   name,
//     as KEY:{elapsed,memory}. An option whose own callback checks the words, because it has more to say
//     about a wrong one, writes them there itself.
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
  std::vector<std::string> choices = {};  // the only words that are right; none: any
  std::string range = {};                 // "0 to 100", empty without one
  bool is_file = false;
  bool is_optional = false;  // the option may stand alone: --watch [SECONDS]
  bool is_list = false;      // several words, separated by commas
};

struct Option {
  std::vector<std::string> names = {};  // as they are typed, short ones first: "-c", "--config"
  std::string description = {};
  std::optional<Value> value = {};  // nothing: a flag
  std::string default_text = {};    // empty where there is none, or where the description tells it
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
  std::vector<Option> inherited = {};  // of the commands above, and right here too
  std::vector<Positional> positionals = {};
  std::vector<Command> commands = {};
};

// Throws std::logic_error when an option takes a value in one command and none in another: the shells could
// not tell options from values then.
Command describe(const CLI::App& app);

// The command and all beneath it, each before its own.
std::vector<const Command*> flattened(const Command& command);

}  // namespace postpone::manual

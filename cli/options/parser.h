// The parser of the command line, as the commands use it. CLI11 does the work and stays in parser.cc and
// main.cc: a file that includes its header takes ten seconds longer to compile.
//
// A Command and its Options live as long as the Command that Command() made. The functions do what CLI11's of
// the same names do.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace postpone::cli {

// The line cannot be what its writer meant. `option` is the word that is at fault, where it is one.
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& reason) : std::runtime_error(reason) {}
  UsageError(const std::string& option, const std::string& reason)
      : std::runtime_error(option + ": " + reason) {}
};

class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option* type_name(const std::string& name);
  Option* required();
  Option* capture_default_str();
  Option* default_str(const std::string& text);
  Option* expected(int least, int most);
  Option* excludes(Option* other);
  Option* take_all();
  Option* delimiter(char separator);
  Option* allow_extra_args(bool allowed);
  // The words that the value may be, and no others.
  Option* choices(const std::vector<std::string>& words);
  // `check` returns what is wrong with the value, or nothing. `in_help` stands behind the type's name.
  Option* check(std::function<std::string(const std::string&)> check, const std::string& in_help);
  // The same, and may write the value anew.
  Option* transform(std::function<std::string(std::string&)> check, const std::string& in_help);

 private:
  CLI::Option* option_;
};

class Command {
 public:
  Command();  // the whole line
  explicit Command(CLI::App* parser);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  Command* add_subcommand(const std::string& name, const std::string& description);
  // A variable of another type needs a line at the end of parser.cc.
  template <class Value>
  Option* add_option(const std::string& names, Value& variable, const std::string& description);
  template <class Value>
  Option* add_option_function(const std::string& names, std::function<void(const Value&)> take,
                              const std::string& description);
  Option* add_flag(const std::string& names, bool& variable, const std::string& description);
  void set_version_flag(const std::string& name, const std::string& version, const std::string& description);

  void name(const std::string& name);
  void description(const std::string& text);
  void footer(const std::string& text);
  void require_subcommand(int count);
  void fallthrough();
  // Once the options of this command are parsed; may throw UsageError.
  void parse_complete_callback(std::function<void()> then);
  // At the end, when the line was right so far.
  void final_callback(std::function<void()> then);

  // How often the option stands in the line.
  std::size_t count(const std::string& option) const;

  CLI::App& parser() { return *parser_; }
  const CLI::App& parser() const { return *parser_; }

 private:
  Option* keep(CLI::Option* option);

  std::unique_ptr<CLI::App> owned_;  // of the whole line
  CLI::App* parser_;
  std::vector<std::unique_ptr<Command>> commands_;
  std::deque<Option> options_;
};

}  // namespace postpone::cli

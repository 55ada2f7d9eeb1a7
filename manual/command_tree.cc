#include "manual/command_tree.h"

#include <CLI/CLI.hpp>
#include <map>
#include <stdexcept>

namespace postpone::manual {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  for (std::size_t comma = 0; comma != std::string::npos; begin = comma + 1) {
    comma = list.find(',', begin);
    words.push_back(list.substr(begin, comma - begin));
  }
  return words;
}

// The text between two characters; empty where it does not have both.
std::string between(const std::string& text, char opening, char closing) {
  const std::size_t begin = text.find(opening);
  const std::size_t end = text.find(closing, begin == std::string::npos ? begin : begin + 1);
  return end == std::string::npos ? "" : text.substr(begin + 1, end - begin - 1);
}

// `constraint` is the description that CLI11's validators give: {a,b}, or INT in [0 - 100].
void constrain(Value& value, const std::string& constraint) {
  if (const std::string words = between(constraint, '{', '}'); !words.empty()) value.choices = split(words);
  value.range = between(constraint, '[', ']');
  if (const std::size_t dash = value.range.find(" - "); dash != std::string::npos)
    value.range.replace(dash, 3, " to ");
}

Value value_of(const CLI::Option& option) {
  Value value;
  const std::string type = option.get_type_name();
  const std::size_t colon = type.find(':');
  value.name = type.substr(0, colon);
  if (colon != std::string::npos) constrain(value, type.substr(colon + 1));
  if (option.get_positional()) value.name = option.get_name(true);
  value.is_optional = !option.get_positional() && option.get_items_expected_min() == 0;
  if (value.is_optional && value.name.starts_with('[')) value.name = between(value.name, '[', ']');
  value.is_file = value.name == "FILE" || value.name == "PATH";
  value.is_list = option.get_delimiter() != '\0';
  return value;
}

Option describe_option(const CLI::Option& option) {
  Option described;
  for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) described.names.push_back("--" + name);
  described.description = option.get_description();
  described.is_required = option.get_required();
  if (option.get_items_expected_max() == 0) return described;
  described.value = value_of(option);
  if (!described.value->is_optional) described.default_text = option.get_default_str();
  return described;
}

Positional describe_positional(const CLI::Option& option) {
  return {value_of(option), option.get_description(), option.get_required(),
          option.get_items_expected_max() > 1};
}

Command describe_command(const CLI::App& app, const std::string& above,
                         const std::vector<Option>& inherited) {
  Command command;
  command.name = app.get_name();
  command.path = above.empty() ? command.name : above + " " + command.name;
  command.description = app.get_description();
  command.inherited = inherited;
  std::vector<Option> for_commands = inherited;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    if (option->get_positional()) {
      command.positionals.push_back(describe_positional(*option));
      continue;
    }
    command.options.push_back(describe_option(*option));
    // Each command has its own --help, and only the program has --version.
    if (option == app.get_help_ptr() || option == app.get_version_ptr()) continue;
    for_commands.push_back(command.options.back());
  }
  for (const CLI::App* below : app.get_subcommands({})) {
    if (below->get_group().empty()) continue;
    command.commands.push_back(describe_command(
        *below, command.path, below->get_fallthrough() ? for_commands : std::vector<Option>()));
  }
  return command;
}

void check_values(const Command& root) {
  std::map<std::string, bool> takes_value;
  for (const Command* command : flattened(root)) {
    for (const Option& option : command->options) {
      for (const std::string& name : option.names) {
        const bool takes = option.value && !option.value->is_optional;
        if (takes_value.emplace(name, takes).first->second != takes)
          throw std::logic_error(command->path + ": " + name + " takes a value here or elsewhere, not both");
      }
    }
  }
}

}  // namespace

Command describe(const CLI::App& app) {
  Command root = describe_command(app, "", {});
  check_values(root);
  return root;
}

std::vector<const Command*> flattened(const Command& command) {
  std::vector<const Command*> all = {&command};
  for (const Command& below : command.commands) {
    const std::vector<const Command*> more = flattened(below);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace postpone::manual

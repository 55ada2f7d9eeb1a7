#include "manual/page.h"

#include <algorithm>

#include "manual/roff.h"
#include "manual/text.h"

namespace postpone::manual {
namespace {

std::string sentence(const std::string& text) {
  if (text.empty()) return "";
  return prose(text) + (text.ends_with('.') ? "" : ".");
}

// "One of a, b or c."
std::string enumeration(const Value& value) {
  std::string text = value.is_list ? " Any of " : " One of ";
  for (std::size_t i = 0; i < value.choices.size(); ++i) {
    if (i > 0) text += i + 1 < value.choices.size() ? ", " : " or ";
    text += bold(value.choices[i]);
  }
  return text + ".";
}

std::string description(const std::string& text, const Value& value, const std::string& default_text,
                        bool is_required) {
  std::string result = sentence(text);
  if (!value.choices.empty()) result += enumeration(value);
  if (!value.range.empty()) result += literal(" From " + value.range + ".");
  if (!default_text.empty()) result += " Default: " + bold(default_text) + ".";
  if (is_required) result += " Required.";
  return result + "\n";
}

std::string value_behind(const Option& option) {
  if (!option.value) return "";
  const std::string value = italic(option.value->name);
  return option.value->is_optional ? " [" + value + "]" : " " + value;
}

std::string tag(const Option& option) {
  std::string text;
  for (const std::string& name : option.names) text += (text.empty() ? "" : ", ") + bold(name);
  return text + value_behind(option);
}

std::string paragraphs(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) {
    text += ".TP\n" + tag(option) + "\n" +
            description(option.description, option.value.value_or(Value()), option.default_text,
                        option.is_required);
  }
  return text;
}

std::string paragraphs(const std::vector<Positional>& positionals) {
  std::string text;
  for (const Positional& positional : positionals) {
    text += ".TP\n" + italic(positional.value.name) + "\n" +
            description(positional.description, positional.value, "", false);
  }
  return text;
}

std::string word(const Positional& positional) {
  const std::string name = italic(positional.value.name) + (positional.is_repeated ? literal("\u2026") : "");
  return positional.is_required ? name : "[" + name + "]";
}

// The name of a command that has no subcommands, and what must or may stand behind it.
std::string synopsis(const Command& command) {
  std::string text = bold(command.path);
  bool has_more = false;
  for (const Option& option : command.options) {
    if (option.is_required) text += " " + bold(option.names.back()) + value_behind(option);
    has_more = has_more || !option.is_required;
  }
  if (has_more) text += " [" + italic("options") + "]";
  for (const Positional& positional : command.positionals) text += " " + word(positional);
  return text;
}

bool is_help(const Option& option) {
  return std::find(option.names.begin(), option.names.end(), "--help") != option.names.end();
}

std::vector<Option> without_help(std::vector<Option> options) {
  std::erase_if(options, is_help);
  return options;
}

// Leaves out --help, which every command has, and which the page describes once.
std::string commands_of(const Command& program) {
  std::string text;
  for (const Command* command : flattened(program)) {
    if (!command->commands.empty()) continue;
    Command shown = *command;
    shown.options = without_help(command->options);
    text += macro("SS", synopsis(shown)) + sentence(command->description) + "\n" +
            paragraphs(command->positionals) + paragraphs(shown.options);
  }
  return text;
}

}  // namespace

std::string with_version(const std::string& page) {
  return replaced(page, "@VERSION@", literal(POSTPONE_VERSION));
}

std::string program_page(const std::string& page, const Command& program) {
  std::string text = replaced(page, "@SYNOPSIS@\n", synopsis(program) + "\n");
  text = replaced(text, "@COMMANDS@\n", commands_of(program));
  return with_version(replaced(text, "@OPTIONS@\n", paragraphs(program.options)));
}

}  // namespace postpone::manual

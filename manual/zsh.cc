// Completion for zsh: a function for each command. Behind the name of a subcommand it calls the function of
// that subcommand. compinit may find the file as _NAME, or a user may source it.
#include "manual/completion.h"
#include "manual/text.h"

namespace postpone::manual {
namespace {

std::string escaped(std::string_view text, std::string_view special) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || special.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

// compinit expects the function of a program to have the name of its file, hyphens included.
std::string function_of(const Command& command) {
  return "_" + replaced(command.path, " ", "_");
}

// What _arguments offers for a value: a message, and the action behind it.
std::string message_and_action(const Value& value) {
  const std::string message = ":" + escaped(value.name, ":") + ":";
  if (value.is_file) return message + "_files";
  if (value.choices.empty()) return message + " ";
  if (value.is_list) return message + "_values -s , " + value.name + " " + joined(value.choices);
  return message + "(" + joined(value.choices) + ")";
}

// One specification for each name of the option; each excludes the others.
std::string option_specs(const Option& option) {
  std::string specs;
  for (const std::string& name : option.names) {
    const bool is_long = name.starts_with("--");
    std::string spec = option.value && option.value->is_list ? "*" : "(" + joined(option.names) + ")";
    spec += name;
    if (option.value) spec += is_long ? "=" : "+";
    spec += "[" + escaped(option.description, "[]:") + "]";
    if (option.value) spec += (option.value->is_optional ? ":" : "") + message_and_action(*option.value);
    specs += "    " + shell_quoted(spec) + " \\\n";
  }
  return specs;
}

std::string all_option_specs(const Command& command) {
  std::string specs;
  for (const Option& option : command.options) specs += option_specs(option);
  for (const Option& option : command.inherited) specs += option_specs(option);
  return specs;
}

std::string leaf_function(const Command& command) {
  std::string text = function_of(command) + "() {\n  _arguments -S \\\n" + all_option_specs(command);
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    const Positional& positional = command.positionals[i];
    std::string place = positional.is_repeated ? "*" : std::to_string(i + 1);
    if (!positional.is_required && !positional.is_repeated) place += ":";
    text += "    " + shell_quoted(place + message_and_action(positional.value)) + " \\\n";
  }
  text.resize(text.size() - 3);  // the last backslash
  return text + "\n}\n";
}

std::string branch_function(const Command& command) {
  std::string commands;
  std::string calls;
  for (const Command& below : command.commands) {
    commands += "    " + shell_quoted(escaped(below.name + ":", "") + escaped(below.description, ":")) + "\n";
    calls += "        " + below.name + ") " + function_of(below) + " && ret=0 ;;\n";
  }
  return function_of(command) + "() {\n  local -a commands=(\n" + commands +
         "  )\n  local curcontext=$curcontext context state state_descr line ret=1\n"
         "  local -A opt_args\n  _arguments -C -S \\\n" +
         all_option_specs(command) +
         "    '1: :->command' \\\n    '*::: :->rest' && ret=0\n"
         "  case $state in\n    command) _describe -t commands " +
         shell_quoted(command.path + " command") +
         " commands && ret=0 ;;\n"
         "    rest)\n"
         "      words=(\"$line[1]\" \"${words[@]}\")\n"
         "      ((CURRENT++))\n"
         "      curcontext=${curcontext%:*:*}:" +
         identifier(command.path) +
         "_$line[1]:\n"
         "      case $line[1] in\n" +
         calls +
         "      esac ;;\n"
         "  esac\n"
         "  return ret\n}\n";
}

}  // namespace

std::string zsh_completion(const Command& program) {
  std::string text = "#compdef " + program.name + "\n# zsh completion for " + program.name + "\n";
  for (const Command* command : flattened(program))
    text += "\n" + (command->commands.empty() ? leaf_function(*command) : branch_function(*command));
  const std::string function = function_of(program);
  // compinit reads the file at the first completion, and expects it to complete; a user who sources it
  // expects it to register the function.
  return text + "\nif [[ $funcstack[1] == " + function + " ]]; then " + function + " \"$@\"; else compdef " +
         function + " " + program.name + "; fi\n";
}

}  // namespace postpone::manual

// Completion for fish, 3.0 or later: one `complete` for each command and each option. Its condition is that
// the words before the cursor name the command to which it belongs.
#include <set>

#include "manual/completion.h"

namespace postpone::manual {
namespace {

constexpr const char* kCondition = R"(
# Whether the words before the cursor name the command $argv[1]; with $argv[2], whether that position behind
# it comes next.
function _@@_at
    set -l path %PROGRAM%
    set -l position 1
    set -l is_value no
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test $is_value = yes
            set is_value no
        else if contains -- $word $_@@_takes_value
            set is_value yes
        else if string match -q -- '-*' $word
            continue
        else if contains -- "$path $word" $_@@_commands
            set path "$path $word"
        else
            set position (math $position + 1)
        end
    end
    test "$path" = $argv[1]; and begin
        not set -q argv[2]; or test $position = $argv[2]
    end
end
)";

// complete -c NAME, for a command, or for one of its positions.
std::string complete_at(const Command& program, const Command& command, const std::string& position = "") {
  std::string condition = with_functions("_@@_at ", program) + shell_quoted(command.path);
  if (!position.empty()) condition += " " + position;
  return "complete -c " + program.name + " -n " + fish_quoted(condition);
}

std::string value_arguments(const Value& value) {
  if (value.is_optional) return "";
  if (value.is_file) return " -r -F";
  if (value.choices.empty()) return " -x";
  const std::string words = joined(value.choices);
  return " -x -a " + fish_quoted(value.is_list ? "(__fish_append , " + words + ")" : words);
}

std::string option_arguments(const Option& option) {
  std::string arguments;
  for (const std::string& name : option.names) {
    arguments += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (option.value) arguments += value_arguments(*option.value);
  return arguments + " -d " + fish_quoted(option.description);
}

std::string positional_lines(const Command& program, const Command& command) {
  std::string lines;
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    const Positional& positional = command.positionals[i];
    const std::string at = complete_at(program, command, positional.is_repeated ? "" : std::to_string(i + 1));
    if (positional.value.is_file) lines += at + " -F\n";
    if (!positional.value.choices.empty())
      lines += at + " -a " + fish_quoted(joined(positional.value.choices)) + "\n";
  }
  return lines;
}

std::string command_lines(const Command& program, const Command& command) {
  std::string lines = "\n# " + command.path + "\n";
  for (const Command& below : command.commands) {
    lines += complete_at(program, command, "1") + " -a " + below.name + " -d " +
             fish_quoted(below.description) + "\n";
  }
  for (const Option& option : command.options)
    lines += complete_at(program, command) + option_arguments(option) + "\n";
  for (const Option& option : command.inherited)
    lines += complete_at(program, command) + option_arguments(option) + "\n";
  return lines + positional_lines(program, command);
}

}  // namespace

std::string fish_completion(const Command& program) {
  std::string commands;
  std::string lines;
  std::set<std::string> takes_value;
  for (const Command* command : flattened(program)) {
    commands += " \\\n    " + fish_quoted(command->path);
    lines += command_lines(program, *command);
    for (const Option& option : command->options) {
      if (option.value && !option.value->is_optional)
        takes_value.insert(option.names.begin(), option.names.end());
    }
  }
  return with_functions("# fish completion for %PROGRAM%\n\nset -g _@@_takes_value ", program) +
         joined({takes_value.begin(), takes_value.end()}) + "\n" +
         with_functions("set -g _@@_commands", program) + commands + "\n" +
         with_functions(kCondition, program) + with_functions("\ncomplete -c %PROGRAM% -f\n", program) +
         lines;
}

}  // namespace postpone::manual

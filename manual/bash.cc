// Completion for bash, 4 or later. The script does not use the package bash-completion, which only finds the
// file.
//
// Two functions of the script hold the program's command line as tables. A third one, the same for each
// program, walks the words before the cursor with these tables.
#include "manual/completion.h"

namespace postpone::manual {
namespace {

constexpr const char* kCommandHead = R"(# bash completion for %PROGRAM%

# What may follow the command that $1 names.
@@_command() {
  case $1 in
)";

constexpr const char* kTakesHead = R"(  esac
}

# Whether $1, an option or a position behind a command, takes a value, and of which kind.
@@_takes() {
  choices=
  case $1 in
)";

constexpr const char* kWalk = R"(    *) return 1 ;;
  esac
}

# Replies with those of the words in $1 that begin with $2, each behind $3.
@@_reply() {
  local word
  for word in $1; do
    if [[ $word == "$2"* ]]; then COMPREPLY+=("$3$word"); fi
  done
}

# Replies with values for what takes a value, which $1 names; they begin with $2 and stand behind $3.
@@_reply_values() {
  @@_takes "$1" || return
  case $kind in
    words) @@_reply "$choices" "$2" "$3" ;;
    list)
      local head=
      if [[ $2 == *,* ]]; then head=${2%,*},; fi
      @@_reply "$choices" "${2##*,}" "$3$head" ;;
    files)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -P "$3" -f -- "$2") ;;
  esac
}

# bash makes words of their own of '=' and ':' within a word: --sort=cpu is three of them, and
# postgresql://db as well.
@@() {
  local cur=${COMP_WORDS[COMP_CWORD]} path=%PROGRAM% position=1 pending= glued=no no_options=no
  local commands options kind choices word
  COMPREPLY=()
  @@_command "$path"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == [:=] || $word == :: ]]; then
      if [[ -z $pending ]]; then glued=yes; fi
    elif [[ -n $pending ]]; then
      pending=
    elif [[ $glued == yes ]]; then
      glued=no
    elif [[ $word == -- ]]; then
      no_options=yes
    elif [[ $word == -* && $no_options == no ]]; then
      if [[ $word != *=* ]] && @@_takes "$path $word"; then pending="$path $word"; fi
    elif [[ " $commands " == *" $word "* ]]; then
      path+=" $word"
      @@_command "$path"
    else
      ((position++))
    fi
  done

  if [[ -n $pending ]]; then
    if [[ $cur == = ]]; then cur=; fi
    @@_reply_values "$pending" "$cur" ''
  elif [[ $glued == yes || $cur == [:=] ]]; then
    return
  elif [[ $cur == --*=* && $no_options == no ]]; then
    @@_reply_values "$path ${cur%%=*}" "${cur#*=}" "${cur%%=*}="
  elif [[ $cur == -* && $no_options == no ]]; then
    @@_reply "$options" "$cur" ''
  else
    if [[ -n $commands ]]; then @@_reply "$commands" "$cur" ''; else @@_reply_values "$path $position" "$cur" ''; fi
    if [[ -z $cur && ${#COMPREPLY[@]} -eq 0 && $no_options == no ]]; then @@_reply "$options" '' ''; fi
  fi
}

complete -F @@ %PROGRAM%
)";

std::vector<std::string> names_of(const std::vector<Option>& options) {
  std::vector<std::string> names;
  for (const Option& option : options) names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

std::string command_case(const Command& command) {
  std::vector<std::string> commands;
  for (const Command& below : command.commands) commands.push_back(below.name);
  std::vector<std::string> options = names_of(command.options);
  for (const std::string& name : names_of(command.inherited)) options.push_back(name);
  return "    " + shell_quoted(command.path) + ")\n      commands=" + shell_quoted(joined(commands)) +
         "\n      options=" + shell_quoted(joined(options)) + " ;;\n";
}

// `pattern` is what the case matches: the command, and the option or the position.
std::string value_case(const std::string& pattern, const Value& value) {
  if (value.is_file) return "    " + pattern + ") kind=files ;;\n";
  if (value.choices.empty()) return "    " + pattern + ") kind=any ;;\n";
  return "    " + pattern + ") kind=" + (value.is_list ? "list" : "words") +
         " choices=" + shell_quoted(joined(value.choices)) + " ;;\n";
}

std::string value_cases(const Command& command) {
  std::string cases;
  for (const Option& option : command.options) {
    if (!option.value || option.value->is_optional) continue;
    // The commands below inherit the option, so the pattern matches their paths, too.
    const std::string star = command.commands.empty() ? "" : "*";
    for (const std::string& name : option.names)
      cases += value_case(shell_quoted(command.path) + star + shell_quoted(" " + name), *option.value);
  }
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    const std::string position = command.positionals[i].is_repeated
                                     ? shell_quoted(" ") + "[0-9]*"
                                     : shell_quoted(" " + std::to_string(i + 1));
    cases += value_case(shell_quoted(command.path) + position, command.positionals[i].value);
  }
  return cases;
}

}  // namespace

std::string bash_completion(const Command& program) {
  std::string commands;
  std::string values;
  for (const Command* command : flattened(program)) {
    commands += command_case(*command);
    values += value_cases(*command);
  }
  return with_functions(kCommandHead, program) + commands + with_functions(kTakesHead, program) + values +
         with_functions(kWalk, program);
}

}  // namespace postpone::manual

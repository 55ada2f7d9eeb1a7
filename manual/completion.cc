#include "manual/completion.h"

#include "manual/text.h"

namespace postpone::manual {

std::string completion(const Command& program, std::string_view shell) {
  return shell == "bash"  ? bash_completion(program)
         : shell == "zsh" ? zsh_completion(program)
                          : fish_completion(program);
}

std::string shell_quoted(const std::string& text) {
  return "'" + replaced(text, "'", R"('\'')") + "'";
}

std::string fish_quoted(const std::string& text) {
  return "'" + replaced(replaced(text, R"(\)", R"(\\)"), "'", R"(\')") + "'";
}

std::string joined(const std::vector<std::string>& words) {
  std::string result;
  for (const std::string& word : words) result += (result.empty() ? "" : " ") + word;
  return result;
}

std::string identifier(const std::string& path) {
  return replaced(replaced(path, " ", "_"), "-", "_");
}

std::string with_functions(const std::string& text, const Command& program) {
  return replaced(replaced(text, "@@", "_" + identifier(program.name)), "%PROGRAM%", program.name);
}

}  // namespace postpone::manual

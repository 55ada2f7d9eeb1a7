// postpone completion
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/options/parser.h"
#include "manual/completion.h"

namespace postpone::cli {

void add_completion_command(Command& app, Invocation& invocation) {
  Command* command = app.add_subcommand(
      "completion", "Print a script that makes a shell complete this command line; source it there");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "The shell")
      ->type_name("")
      ->required()
      ->choices({"bash", "zsh", "fish"});
  command->final_callback([&app, &invocation, shell] {
    invocation.run = [&app, shell] {
      std::cout << manual::completion(manual::describe(app.parser()), *shell);
      return ExitCode::done;
    };
  });
}

}  // namespace postpone::cli

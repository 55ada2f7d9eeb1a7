// postpone completion
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "manual/completion.h"

namespace postpone::cli {

void add_completion_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "completion", "Print a script that makes a shell complete this command line; source it there");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "The shell")
      ->type_name("")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->final_callback([&app, &invocation, shell] {
    invocation.run = [&app, shell] {
      std::cout << manual::completion(manual::describe(app), *shell);
      return ExitCode::done;
    };
  });
}

}  // namespace postpone::cli

// postpone config check
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/text.h"
#include "cli/values.h"
#include "config/config.h"

namespace postpone::cli {
namespace {

ExitCode check(const std::string& path) {
  const config::ParseResult result = config::load(path);
  for (const config::Problem& problem : result.problems) {
    std::cerr << printable(config::to_string(problem, path)) << '\n';
  }
  if (!result.config) return ExitCode::configuration;
  std::cout << printable(path) << ": correct\n";
  for (const config::Group& group : result.config->groups) {
    std::cout << "  " << printable(group.name) << ": " << group.count
              << (group.count == 1 ? " sub-worker" : " sub-workers") << ", queues ";
    if (group.queues.empty()) std::cout << "all";
    for (std::size_t i = 0; i < group.queues.size(); ++i)
      std::cout << (i > 0 ? ", " : "") << printable(group.queues[i]);
    std::cout << ", " << printable(group.executable) << '\n';
  }
  return ExitCode::done;
}

}  // namespace

void add_config_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* config = app.add_subcommand("config", "The supervisor's configuration file");
  config->require_subcommand(1);
  CLI::App* check_command = config->add_subcommand(
      "check", "Report every problem of a configuration file as file:line:column; exit code 3");
  const auto path = std::make_shared<std::string>();
  nonempty(check_command->add_option("FILE", *path, "The TOML file")->type_name("")->required());
  check_command->final_callback([&invocation, path] { invocation.run = [path] { return check(*path); }; });
}

}  // namespace postpone::cli

// postpone status
#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/screen/terminal.h"
#include "cli/status/status_client.h"
#include "cli/status/status_page.h"
#include "cli/text/colour.h"

namespace postpone::cli {
namespace {

struct StatusOptions {
  std::string socket;
  bool as_json = false;
};

ExitCode status(const Invocation& invocation, const StatusOptions& options) {
  const std::string socket = status_socket(options.socket, invocation.config_file);
  if (options.as_json)
    std::cout << fetch_status_text(socket);
  else
    std::cout << status_page(fetch_status(socket), terminal_size().value_or(ScreenSize()),
                             is_coloured(STDOUT_FILENO));
  return ExitCode::done;
}

}  // namespace

void add_status_command(Command& app, Invocation& invocation) {
  Command* command = app.add_subcommand(
      "status", "Show the state of the supervisor of --config: its database, jobs, queues, failures");
  const auto options = std::make_shared<StatusOptions>();
  nonempty(
      command->add_option("--socket", options->socket, "The supervisor's status socket, instead of --config")
          ->type_name("PATH"));
  command->add_flag("--json", options->as_json, "Print the JSON of docs/status.md");
  command->final_callback([&invocation, options] {
    invocation.run = [&invocation, options] { return status(invocation, *options); };
  });
}

}  // namespace postpone::cli

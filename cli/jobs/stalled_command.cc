// postpone stalled: the commands below it.
#include <CLI/CLI.hpp>

#include "cli/jobs/commands.h"

namespace postpone::cli {

void add_stalled_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* stalled =
      app.add_subcommand("stalled", "Look at jobs whose worker is gone or silent, and rescue them");
  stalled->require_subcommand(1);
  add_stalled_list(*stalled, invocation);
  add_stalled_rescue(*stalled, invocation);
}

}  // namespace postpone::cli

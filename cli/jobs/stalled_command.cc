// postpone stalled: the commands below it.

#include "cli/jobs/commands.h"
#include "cli/options/parser.h"

namespace postpone::cli {

void add_stalled_commands(Command& app, Invocation& invocation) {
  Command* stalled =
      app.add_subcommand("stalled", "Look at jobs whose worker is gone or silent, and rescue them");
  stalled->require_subcommand(1);
  add_stalled_list(*stalled, invocation);
  add_stalled_rescue(*stalled, invocation);
}

}  // namespace postpone::cli

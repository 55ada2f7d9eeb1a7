// postpone jobs: the commands below it.

#include "cli/jobs/commands.h"
#include "cli/options/parser.h"

namespace postpone::cli {

void add_jobs_commands(Command& app, Invocation& invocation) {
  Command* jobs = app.add_subcommand(
      "jobs", "Look at jobs, cancel them, let them run again, finish, purge and replay them");
  jobs->require_subcommand(1);
  add_jobs_list(*jobs, invocation);
  add_jobs_count(*jobs, invocation);
  add_jobs_show(*jobs, invocation);
  add_jobs_cancel(*jobs, invocation);
  add_jobs_retry(*jobs, invocation);
  add_jobs_finish(*jobs, invocation);
  add_jobs_purge(*jobs, invocation);
  add_jobs_replay(*jobs, invocation);
}

}  // namespace postpone::cli

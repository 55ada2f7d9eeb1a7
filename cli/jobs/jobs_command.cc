// postpone jobs: the commands below it.
#include <CLI/CLI.hpp>

#include "cli/jobs/commands.h"

namespace postpone::cli {

void add_jobs_commands(CLI::App& app, Invocation& invocation) {
  CLI::App* jobs =
      app.add_subcommand("jobs", "Look at jobs, cancel them, let them run again, finish and purge them");
  jobs->require_subcommand(1);
  add_jobs_list(*jobs, invocation);
  add_jobs_count(*jobs, invocation);
  add_jobs_show(*jobs, invocation);
  add_jobs_cancel(*jobs, invocation);
  add_jobs_retry(*jobs, invocation);
  add_jobs_finish(*jobs, invocation);
  add_jobs_purge(*jobs, invocation);
}

}  // namespace postpone::cli

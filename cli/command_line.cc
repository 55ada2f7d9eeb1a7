// The command line of `postpone`.

#include "cli/command.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"

namespace postpone::cli {
namespace {

constexpr const char* kFooter =
    R"(The database is the first that one of these names: --database-url, the [database] url of
--config, POSTPONE_DATABASE_URL, what libpq reads (PG* variables, a service file, .pgpass).

Exit codes: 0 done, 1 not done (no such job, already enqueued, refused), 2 wrong usage,
3 wrong configuration, 4 database not reachable, 5 schema missing or of another version.)";

}  // namespace

void define_command_line(Command& app, Invocation& invocation) {
  app.name("postpone");
  app.description("Defer jobs, look at them, and look after their database");
  // Subcommands inherit this footer; the program itself gets another one below.
  app.footer("`postpone --help` says which database is used, and explains the exit codes.");
  app.set_version_flag("--version", "postpone " POSTPONE_VERSION, "Print the version");
  nonempty(app.add_option("--database-url", invocation.database_url, "A libpq connection string or URI")
               ->type_name("URL"));
  nonempty(app.add_option("--config", invocation.config_file,
                          "The supervisor's TOML file, which names the database")
               ->type_name("FILE"));
  app.require_subcommand(1);
  app.fallthrough();
  add_schema_commands(app, invocation);
  add_defer_command(app, invocation);
  add_jobs_commands(app, invocation);
  add_queues_and_tasks_commands(app, invocation);
  add_schedules_commands(app, invocation);
  add_locks_command(app, invocation);
  add_workers_command(app, invocation);
  add_stalled_commands(app, invocation);
  add_stack_command(app, invocation);
  add_healthcheck_command(app, invocation);
  add_config_command(app, invocation);
  add_status_command(app, invocation);
  add_top_command(app, invocation);
  add_completion_command(app, invocation);
  app.footer(kFooter);
}

}  // namespace postpone::cli

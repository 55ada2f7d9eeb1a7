#include "supervisor/command_line.h"

#include <CLI/CLI.hpp>

namespace postpone::supervisor {

void define_command_line(CLI::App& app, Arguments& arguments) {
  app.name("postpone-supervisor");
  app.description(
      "Runs the sub-workers of a configuration: the parent process of Postpone, a PostgreSQL task queue");
  // What is empty is most often a variable that is not set: it must not mean what no option at all means.
  const auto not_empty = [](const std::string& text) {
    return std::string(text.empty() ? "is empty; leave the option out, or give it a value" : "");
  };
  app.add_option("-c,--config", arguments.config_path, "The configuration file (TOML)")
      ->type_name("FILE")
      ->check(not_empty)
      ->required();
  app.add_option("--database-url", arguments.database_url,
                 "Instead of the configuration's [database] url; better in POSTPONE_DATABASE_URL, which ps "
                 "does not show")
      ->type_name("URL")
      ->check(not_empty);
  app.add_option("--log-level", arguments.log_level, "Instead of the configuration's [log] level")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}));
  app.add_flag("--one-shot", arguments.one_shot, "Work off the jobs that can be run now, then exit");
  app.set_version_flag("--version", POSTPONE_VERSION, "Print the version");
  app.footer(
      "Exit status: 0 drained after a signal or --one-shot, 1 failure, 2 usage, 3 configuration, log file "
      "or task executable, 5 schema.\n"
      "Signals: TERM, INT drain (twice: now), HUP reads the configuration again, TSTP pauses, CONT resumes, "
      "USR1 opens the log file again.");
}

}  // namespace postpone::supervisor

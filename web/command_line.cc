#include "web/command_line.h"

#include <CLI/CLI.hpp>

namespace postpone::web {

void define_command_line(CLI::App& app, Arguments& arguments) {
  app.name("postpone-web");
  app.description("Shows all jobs, queues and workers of a database in a browser; changes nothing");
  // What is empty is most often a variable that is not set: it must not mean what no option at all means.
  const auto not_empty = [](const std::string& text) {
    return std::string(text.empty() ? "is empty; leave the option out, or give it a value" : "");
  };
  app.add_option("--listen", arguments.listen,
                 "An address and port of this host, or the path of a Unix socket")
      ->type_name("ADDRESS")
      ->check(not_empty)
      ->capture_default_str();
  app.add_option("--database-url", arguments.database_url,
                 "The database; better in POSTPONE_DATABASE_URL, which ps does not show")
      ->type_name("URL")
      ->check(not_empty);
  app.add_option("--host", arguments.hosts,
                 "Another name by which browsers may call it, as behind a proxy; may stand several times")
      ->type_name("NAME")
      ->check(not_empty)
      ->allow_extra_args(false);
  app.add_flag("--hide-arguments", arguments.hide_arguments,
               "Read and show neither arguments nor meta nor results of jobs");
  app.add_option("--connections", arguments.connections, "Connections to the database, at most")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  app.add_option("--log-level", arguments.log_level, "What the log on standard error has")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app.set_version_flag("--version", POSTPONE_VERSION, "Print the version");
  app.footer(
      "Exit status: 0 ended by a signal, 1 failure, 2 usage, 3 cannot listen there.\n"
      "Signals: TERM, INT end it, once what was asked is answered.");
}

}  // namespace postpone::web

// The arguments of `postpone-web`.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace postpone::web {

struct Arguments {
  std::string listen = "127.0.0.1:8080";
  std::string database_url;  // empty = POSTPONE_DATABASE_URL, else libpq's own defaults
  std::vector<std::string> hosts;
  bool hide_arguments = false;
  int connections = 4;
  std::string log_level = "info";
};

// `arguments` must outlive the parser.
void define_command_line(CLI::App& app, Arguments& arguments);

}  // namespace postpone::web

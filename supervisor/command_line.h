// The arguments of `postpone-supervisor`.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace postpone::supervisor {

struct Arguments {
  std::string config_path;
  std::string database_url;  // these two: empty when the configuration's is meant
  std::string log_level;
  bool one_shot = false;
};

// `arguments` must outlive the parser.
void define_command_line(CLI::App& app, Arguments& arguments);

}  // namespace postpone::supervisor

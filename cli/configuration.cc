#include "cli/configuration.h"

#include <map>

namespace postpone::cli {

const config::ParseResult& load_configuration(const std::string& path) {
  static std::map<std::string, config::ParseResult> files;
  const auto known = files.find(path);
  return known != files.end() ? known->second : files.emplace(path, config::load(path)).first->second;
}

}  // namespace postpone::cli

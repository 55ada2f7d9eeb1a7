// The configuration file as a supervisor takes it: read, checked, and with what the command line and the
// environment say on top. The start and a reload both come through here, so the overrides are applied in one
// place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "sys/fd.h"
#include "sys/log.h"

namespace postpone::supervisor {

struct ConfigurationFile {
  std::string path;
  std::string directory;        // what the paths in it are relative to
  config::Overrides overrides;  // of the command line and the environment
  std::string url_origin = {};  // "--database-url", or the variable: where the url among them comes from
};

// A configuration that can be in force.
struct Configuration {
  config::Config config;  // with the overrides
  std::string text;       // of the file. Members read this text, and get the overrides apart from it
  sys::Fd memfd = {};     // with the text, for members to inherit; see seal()

  // Throws std::system_error.
  void seal() { memfd = sys::make_sealed_memfd("postpone-config", text); }
};

struct Reading {
  std::optional<Configuration> configuration;  // nothing when there is a fault
  std::vector<std::string> faults;             // a line each, with the file's path in front
  std::string reason;                          // the first of them, for one line about the whole file
};

// Reads the text of a configuration file. Files::trust: it was checked before.
Reading read_configuration(const ConfigurationFile& file, std::string text,
                           config::Files files = config::Files::check);

// How the family logs.
sys::LogOptions log_options(const config::Log& log);

}  // namespace postpone::supervisor

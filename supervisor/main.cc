// postpone-supervisor: reads the configuration and runs the supervisor.
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "config/config.h"
#include "supervisor/command_line.h"
#include "supervisor/supervisor.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/process_title.h"
#include "sys/service_manager.h"
#include "sys/standard_streams.h"

namespace {

using postpone::supervisor::Arguments;
using postpone::supervisor::Exit;
namespace config = postpone::config;

config::Overrides overrides_of(const Arguments& arguments) {
  config::Overrides overrides;
  if (const char* url = std::getenv("POSTPONE_DATABASE_URL"); url && *url) overrides.database_url = url;
  if (!arguments.database_url.empty()) overrides.database_url = arguments.database_url;
  if (!arguments.log_level.empty()) overrides.log_level = arguments.log_level;
  return overrides;
}

// A reader of our log that goes away must not take the family with it; and each child takes about four
// descriptors, of which the usual soft limit knows only 1024.
void prepare_process() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a log that may not grow is lines that cannot be written
  ::signal(SIGUSR1, SIG_IGN);  // until there is a log file to open again …
  ::signal(SIGHUP, SIG_IGN);   // … and a configuration that was read
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Reads the configuration, into `options` too, and opens the log. Nothing when the configuration is wrong,
// which was said then. Throws std::system_error.
std::optional<config::Config> begin(const Arguments& arguments, postpone::supervisor::Options& options) {
  options.config_path = arguments.config_path;
  options.overrides = overrides_of(arguments);
  options.one_shot = arguments.one_shot;
  const auto slash = arguments.config_path.rfind('/');
  options.config_directory = slash == std::string::npos ? "." : arguments.config_path.substr(0, slash + 1);
  // The text is read once: what is checked here is what the sub-workers get, whatever happens to the file
  // meanwhile.
  options.config_text = postpone::sys::read_whole_file(arguments.config_path);
  const auto result = config::parse(options.config_text, options.config_directory);
  for (const auto& problem : result.problems)
    std::fprintf(stderr, "%s\n", config::to_string(problem, arguments.config_path).c_str());
  if (!result.config) return std::nullopt;
  config::Config config = *result.config;
  config::apply(options.overrides, config);
  const auto faults = postpone::supervisor::faults_of(config);
  for (const std::string& fault : faults)
    std::fprintf(stderr, "%s: %s\n", arguments.config_path.c_str(), fault.c_str());
  if (!faults.empty()) return std::nullopt;
  postpone::sys::init_log({.role = "supervisor", .may_wait = false},
                          postpone::supervisor::log_options(config.log));
  return config;
}

// What is wrong with the configuration or the log file stays wrong until somebody mends it. What goes wrong
// later, for want of memory or descriptors, say, may go well the next time: that is `failure`.
Exit run(const Arguments& arguments, postpone::sys::ServiceManager service_manager) {
  postpone::supervisor::Options options;
  options.service_manager = std::move(service_manager);
  std::optional<config::Config> config;
  try {
    config = begin(arguments, options);
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "postpone-supervisor: %s\n", error.what());
  }
  if (!config) return Exit::configuration;
  return postpone::supervisor::Supervisor(std::move(*config), std::move(options)).run();
}

// --help and --version are answered, all else is wrong.
Exit answer(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) {
    std::fprintf(stderr, "postpone-supervisor: %s; see postpone-supervisor --help\n", error.what());
    return Exit::usage;
  }
  postpone::sys::StandardOutput output;
  app.exit(error);
  if (const int problem = output.flush(); problem != 0) {
    std::fprintf(stderr, "postpone-supervisor: cannot write to standard output: %s\n",
                 std::strerror(problem));
    return Exit::failure;
  }
  return Exit::ok;
}

}  // namespace

int main(int argc, char** argv) {
  postpone::sys::open_standard_descriptors();
  Arguments arguments;
  CLI::App app;
  try {
    define_command_line(app, arguments);
    app.parse(argc, argv);
    auto service_manager = postpone::sys::ServiceManager::from_environment();
    postpone::sys::init_process_title(argc, argv);
    prepare_process();
    return static_cast<int>(run(arguments, std::move(service_manager)));
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(answer(app, error));
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    return static_cast<int>(Exit::failure);
  }
}

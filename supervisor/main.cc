// postpone-supervisor: reads the configuration and runs the supervisor.
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

#include "supervisor/command_line.h"
#include "supervisor/supervisor.h"
#include "sys/fd.h"
#include "sys/log.h"
#include "sys/logger.h"
#include "sys/process_title.h"
#include "sys/service_manager.h"
#include "sys/standard_streams.h"

namespace {

using postpone::supervisor::Arguments;
using postpone::supervisor::Configuration;
using postpone::supervisor::ConfigurationFile;
using postpone::supervisor::Exit;

ConfigurationFile file_of(const Arguments& arguments) {
  const auto slash = arguments.config_path.rfind('/');
  ConfigurationFile file;
  file.path = arguments.config_path;
  file.directory = slash == std::string::npos ? "." : arguments.config_path.substr(0, slash + 1);
  if (const char* url = std::getenv("POSTPONE_DATABASE_URL"); url && *url) {
    file.overrides.database_url = url;
    file.url_origin = "POSTPONE_DATABASE_URL";
  }
  if (!arguments.database_url.empty()) {
    file.overrides.database_url = arguments.database_url;
    file.url_origin = "--database-url";
  }
  if (!arguments.log_level.empty()) file.overrides.log_level = arguments.log_level;
  return file;
}

// What this process has inherited must not end it, nor make it deaf: a reader of our log that goes away, or a
// signal mask, which survives exec. And each child takes about four descriptors, of which the usual soft
// limit allows only 1024.
void prepare_process() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a log that may not grow: its lines are lost, and nothing else
  ::signal(SIGUSR1, SIG_IGN);  // until there is a log file to open again …
  ::signal(SIGHUP, SIG_IGN);   // … and a configuration that was read
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Reads the configuration and opens the log. Nothing when the configuration is wrong; stderr has each reason
// then. The text is read once: what is checked here is what the sub-workers get, whatever happens to the file
// meanwhile. Throws std::system_error.
std::optional<Configuration> begin(const ConfigurationFile& file) {
  auto reading = postpone::supervisor::read_configuration(file, postpone::config::read_text(file.path));
  for (const std::string& fault : reading.faults) std::fprintf(stderr, "%s\n", fault.c_str());
  if (!reading.configuration) return std::nullopt;
  postpone::sys::init_log({.role = "supervisor", .may_wait = false},
                          postpone::supervisor::log_options(reading.configuration->config.log));
  return std::move(reading.configuration);
}

// What is wrong with the configuration or the log file stays wrong until an operator mends it. What goes
// wrong later, for want of memory or descriptors, say, may go well the next time: that is `failure`.
Exit run(const Arguments& arguments, postpone::sys::ServiceManager service_manager) {
  postpone::supervisor::Options options{file_of(arguments), arguments.one_shot, std::move(service_manager)};
  std::optional<Configuration> configuration;
  try {
    configuration = begin(options.file);
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "postpone-supervisor: %s\n", error.what());
  }
  if (!configuration) return Exit::configuration;
  return postpone::supervisor::Supervisor(std::move(*configuration), std::move(options)).run();
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
    postpone::sys::log.critical("{}", error.what());
    return static_cast<int>(Exit::failure);
  }
}

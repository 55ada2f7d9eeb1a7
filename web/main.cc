// postpone-web: shows the whole fleet, from the database, in a browser.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "sys/log.h"
#include "sys/logger.h"
#include "sys/standard_streams.h"
#include "web/app.h"
#include "web/command_line.h"
#include "web/http/listen.h"

namespace {

enum Exit { kDone = 0, kFailure = 1, kUsage = 2, kConfiguration = 3 };

int fail(Exit status, const char* reason) {
  std::fprintf(stderr, "postpone-web: %s\n", reason);
  return status;
}

// What this process has inherited must not make it deaf, nor a client that goes away end it.
void prepare_process() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
}

int answer(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) {
    std::fprintf(stderr, "postpone-web: %s; see postpone-web --help\n", error.what());
    return kUsage;
  }
  postpone::sys::StandardOutput output;
  app.exit(error);
  return output.flush() == 0 ? kDone : fail(kFailure, "cannot write to standard output");
}

int run(const postpone::web::Arguments& arguments) {
  try {
    postpone::sys::init_log({.role = "web"}, {.level = arguments.log_level});
    postpone::web::serve(arguments);
    return kDone;
  } catch (const postpone::web::ListenError& error) {
    return fail(kConfiguration, error.what());
  } catch (const std::exception& error) {
    return fail(kFailure, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  postpone::sys::open_standard_descriptors();
  postpone::web::Arguments arguments;
  CLI::App app;
  try {
    postpone::web::define_command_line(app, arguments);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return answer(app, error);
  }
  prepare_process();
  return run(arguments);
}

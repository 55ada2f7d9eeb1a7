// postpone: the program with which people and scripts work on jobs and their database.
//
// The parser only decides what is to be done; the command runs afterwards, so that a line with a mistake
// anywhere does nothing. Every error ends in main(), as one line on standard error and an exit code
// (cli/exit_code.h).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/connect.h"
#include "cli/options/parser.h"
#include "cli/text/colour.h"
#include "cli/text/text.h"
#include "config/nearest.h"
#include "sql/error.h"
#include "sys/standard_streams.h"

namespace postpone::cli {
namespace {

int fail(ExitCode code, const std::string& message) {
  // The message may quote names of jobs and words of the server, which a terminal must not obey.
  std::cerr << (is_coloured(STDERR_FILENO) ? styled("postpone:", Style::bad) : "postpone:") << ' '
            << printable(message) << '\n';
  return static_cast<int>(code);
}

// Of `--queue=$UNSET '{}'` the parser would take '{}' for the queue.
void refuse_empty_values(int argc, char** argv) {
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--") && word.find('=') == word.size() - 1)
      throw CLI::ValidationError(std::string(word.substr(0, word.size() - 1)),
                                 "is empty; leave the option out, or give it a value");
  }
}

// "postpone jobs list": the words of the line that name commands that exist.
std::string command_of(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  return name;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// The last command of the line that exists, and the first word behind it that names no command of it.
struct Unknown {
  const CLI::App* command;
  std::string word;
};

Unknown unknown_of(const CLI::App& app, const std::vector<std::string>& words) {
  Unknown unknown{&app, ""};
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with("-")) {
      const CLI::Option* option = app.get_option_no_throw(words[i]);
      if (option != nullptr && option->get_items_expected_max() > 0) ++i;  // its value
      continue;
    }
    const auto commands = commands_of(*unknown.command);
    const auto next = std::find_if(commands.begin(), commands.end(),
                                   [&](const CLI::App* command) { return command->get_name() == words[i]; });
    if (next == commands.end()) {
      unknown.word = words[i];
      break;
    }
    unknown.command = *next;
  }
  return unknown;
}

// `postpone dfer`: names the word that is no command, and the command that the caller may have meant. Empty
// when the line is wrong for another reason.
std::string no_such_command(const CLI::App& app, const std::vector<std::string>& words) {
  const Unknown unknown = unknown_of(app, words);
  const auto commands = commands_of(*unknown.command);
  if (unknown.word.empty() || commands.empty()) return "";
  std::vector<std::string> names;
  std::string known;
  for (const CLI::App* command : commands) {
    names.push_back(command->get_name());
    known += (known.empty() ? "" : ", ") + names.back();
  }
  const auto meant = config::nearest(unknown.word, {names.begin(), names.end()});
  return "\"" + unknown.word + "\" is no command" +
         (meant ? "; did you mean \"" + std::string(*meant) + "\"?" : "; they are " + known);
}

int refuse(const CLI::App& app, const std::string& reason, const std::vector<std::string>& words) {
  if (const std::string problem = no_such_command(app, words); !problem.empty())
    return fail(ExitCode::usage, problem + "; see " + command_of(app) + " --help");
  return fail(ExitCode::usage, reason + "; see " + command_of(app) + " --help");
}

int run_command(const Invocation& invocation) {
  try {
    return static_cast<int>(invocation.run());
  } catch (const Failure& failure) {
    return fail(failure.code(), failure.what());
  } catch (const sql::DatabaseError& error) {
    const Failure failure = failure_of(invocation, error);
    return fail(failure.code(), failure.what());
  }
}

int run(int argc, char** argv) {
  Invocation invocation;
  Command command_line;
  CLI::App& app = command_line.parser();
  try {
    define_command_line(command_line, invocation);
    refuse_empty_values(argc, argv);
    app.parse(argc, argv);
    return run_command(invocation);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return refuse(app, error.what(), {argv + 1, argv + argc});
  } catch (const UsageError& error) {
    return refuse(app, error.what(), {argv + 1, argv + argc});
  } catch (const std::exception& error) {
    return fail(ExitCode::not_done, error.what());
  }
}

// A command whose output is lost has failed, whatever it has done, because the caller does not get to see the
// result. A reader that ends early, such as `head`, needs no message.
int status_of_output(int error) {
  if (error == 0) return 0;
  if (error == EPIPE) return static_cast<int>(ExitCode::not_done);
  return fail(ExitCode::not_done, std::string("cannot write to standard output: ") + std::strerror(error));
}

}  // namespace
}  // namespace postpone::cli

int main(int argc, char** argv) {
  // A parent may have blocked signals, which a child inherits: Ctrl-C and SIGTERM end this program all the
  // same.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  postpone::sys::open_standard_descriptors();
  postpone::sys::StandardOutput output;
  const int status = postpone::cli::run(argc, argv);
  const int error = output.flush();
  return status != 0 ? status : postpone::cli::status_of_output(error);
}

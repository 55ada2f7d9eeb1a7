// postpone-manual: the build runs it to write the manual pages and completion scripts. It is not installed.
//
//   postpone-manual completion PROGRAM SHELL OUTPUT
//   postpone-manual page PROGRAM INPUT OUTPUT
//   postpone-manual configuration REFERENCE INPUT OUTPUT
#include <CLI/CLI.hpp>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/options/parser.h"
#include "manual/completion.h"
#include "manual/page.h"
#include "supervisor/command_line.h"
#include "sys/standard_streams.h"
#include "web/command_line.h"

namespace {

namespace manual = postpone::manual;

manual::Command command_line_of(const std::string& program) {
  postpone::cli::Invocation invocation;
  postpone::supervisor::Arguments supervisor_arguments;
  postpone::web::Arguments web_arguments;
  postpone::cli::Command command_line;
  CLI::App& app = command_line.parser();
  if (program == "postpone") {
    postpone::cli::define_command_line(command_line, invocation);
  } else if (program == "postpone-web") {
    postpone::web::define_command_line(app, web_arguments);
  } else {
    postpone::supervisor::define_command_line(app, supervisor_arguments);
  }
  return manual::describe(app);
}

std::string read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  if (!(file << text << std::flush)) throw std::runtime_error("cannot write " + path);
}

bool run(const std::vector<std::string>& words) {
  if (words.size() != 4) return false;
  const std::string& output = words[3];
  if (words[0] == "completion") {
    write(output, manual::completion(command_line_of(words[1]), words[2]));
  } else if (words[0] == "page") {
    write(output, manual::program_page(read(words[2]), command_line_of(words[1])));
  } else if (words[0] == "configuration") {
    write(output, manual::configuration_page(read(words[2]), read(words[1])));
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  postpone::sys::open_standard_descriptors();
  try {
    if (run({argv + 1, argv + argc})) return 0;
    std::cerr << "usage: see packaging/pages.cc\n";
  } catch (const std::exception& error) {
    std::cerr << "postpone-manual: " << error.what() << '\n';
  }
  return 1;
}

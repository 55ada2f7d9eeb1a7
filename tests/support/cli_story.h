// What a test does on the command line of `postpone`, on a database of its own.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/cli.h"
#include "tests/support/database.h"
#include "tests/support/program.h"

namespace postpone::tests {

class CliStory : public testing::Test {
 protected:
  explicit CliStory(Schema schema = Schema::applied) : database_(schema) {}

  // postpone ARGUMENT…
  ProgramRun run(std::vector<std::string> arguments, const std::string& input = "") const {
    return postpone(std::move(arguments), {.environment = environment(), .input = input});
  }
  // What a shell makes of a line; $postpone is the program.
  ProgramRun shell(const std::string& line) const {
    return run_program({"bash", "-c", line}, {.environment = environment()});
  }
  std::string sql(const std::string& statement) const { return database_.execute(statement); }
  std::string url() const { return database_.url(); }
  const TestDatabase& database() const { return database_; }
  std::vector<std::pair<std::string, std::string>> environment() const {
    std::vector<std::pair<std::string, std::string>> all = {{"POSTPONE_DATABASE_URL", database_.url()},
                                                            {"postpone", POSTPONE_CLI}};
    for (auto& variable : more_environment()) all.push_back(std::move(variable));
    return all;
  }
  // Further variables, for the program and the shell.
  virtual std::vector<std::pair<std::string, std::string>> more_environment() const { return {}; }

 private:
  TestDatabase database_;
};

}  // namespace postpone::tests

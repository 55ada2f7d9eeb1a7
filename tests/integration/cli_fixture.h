// `postpone` as people and scripts see it: how it ends, and what its errors look like.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cli.h"
#include "tests/support/cli_story.h"
#include "tests/support/program.h"

namespace postpone::tests {

inline ProgramRun postpone_without_database(std::vector<std::string> arguments) {
  return postpone_on("", std::move(arguments));
}

// How every error looks: one line that says whose it is.
MATCHER(IsOneLine, "is one line that starts with \"postpone: \"") {
  return arg.starts_with("postpone: ") && arg.find('\n') == arg.size() - 1;
}

class Cli : public CliStory {
 protected:
  // Defers, and returns the id as it was printed.
  std::string defer(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "defer");
    const ProgramRun result = run(std::move(arguments));
    EXPECT_EQ(result.exit_status, kDone) << result.errors;
    return result.output.substr(0, result.output.find('\n'));
  }
  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return nlohmann::json::parse(run(std::move(arguments)).output);
  }
};

class CliOnEmptyDatabase : public CliStory {
 protected:
  CliOnEmptyDatabase() : CliStory(Schema::none) {}
};

}  // namespace postpone::tests

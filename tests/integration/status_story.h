// The status socket of a real supervisor, asked by curl as an operator would.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/files.h"
#include "tests/support/job_story.h"
#include "tests/support/program.h"

namespace postpone::tests {

inline const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
inline const std::string kTestTasks = POSTPONE_TEST_TASKS;

class Status : public DatabaseStory {
 protected:
  std::string path() const { return files_.file("status.sock"); }
  std::string section(const std::string& more = "") const {
    return "[status]\nsocket = \"" + path() + "\"\n" + more;
  }
  std::string config(const std::string& supervisor = "") const {
    return "[supervisor]\n" + supervisor + section() + group("m", kMisbehave, 2) + group("t", kTestTasks, 1);
  }
  ProgramRun curl(const std::string& page, std::vector<std::string> options = {}) const {
    std::vector<std::string> command{"curl", "--silent",      "--show-error", "--max-time",
                                     "40",   "--unix-socket", path()};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back("http://localhost" + page);
    return run_program(command);
  }
  nlohmann::json status() const {
    const auto run = curl("/status");
    if (run.exit_status != 0) throw std::runtime_error("curl: " + run.errors);
    return nlohmann::json::parse(run.output);
  }
  // The status code and the body, "503 not ready: …".
  std::string answer(const std::string& page, std::vector<std::string> options = {}) const {
    options.insert(options.end(), {"--write-out", "%{http_code}", "--output", files_.file("body")});
    const auto run = curl(page, std::move(options));
    return run.output + " " + read_file(files_.file("body"));
  }
  bool becomes(const std::string& state) const {
    return eventually([&] { return status()["supervisor"]["state"] == state; });
  }
  void let_go(const std::string& name) const { std::ofstream(files_.file(name)) << "go"; }
};

inline nlohmann::json schema() {
  return nlohmann::json::parse(read_file(POSTPONE_SOURCE_DIR "/docs/status.schema.json"));
}

}  // namespace postpone::tests

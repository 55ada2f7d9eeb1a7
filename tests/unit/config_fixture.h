// A directory with task executables to name in a configuration, gone at the end.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.h"

namespace postpone::config {

class ConfigDirectory {
 public:
  ConfigDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "postpone-config-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp " + path);
    path_ = path;
  }
  ConfigDirectory(const ConfigDirectory&) = delete;
  ConfigDirectory& operator=(const ConfigDirectory&) = delete;
  ~ConfigDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string path(const std::string& name = {}) const { return (path_ / name).string(); }

  // Creates a file, and the directories above it. Returns its path.
  std::string write(const std::string& name, const std::string& content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
    return file.string();
  }

  std::string write_executable(const std::string& name) const {
    std::string file = write(name, "#!/bin/sh\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_source_file(const std::string& name) {
  std::ifstream file(std::string(POSTPONE_SOURCE_DIR) + "/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Each problem as one line: "2:7: …".
inline std::vector<std::string> lines(const ParseResult& result) {
  std::vector<std::string> lines;
  for (const Problem& problem : result.problems) {
    lines.push_back(std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " +
                    problem.message);
  }
  return lines;
}

// What is wrong with a file, and what it says.
class ConfigTest : public testing::Test {
 protected:
  ConfigTest() { directory_.write_executable("tasks"); }

  // Parses `text` as it stands.
  ParseResult parse_text(const std::string& text) const { return parse(text, directory_.path()); }

  // Parses `text` behind a group that is right: what is wrong is in line 4 or later.
  std::vector<std::string> problems_of(const std::string& text) const {
    return lines(parse_text("[[group]]\nname = \"kitchen\"\nexecutable = \"tasks\"\n" + text));
  }

  ConfigDirectory directory_;
};

}  // namespace postpone::config

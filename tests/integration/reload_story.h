// A family that is told to read its configuration again while its jobs run on. Polling intervals are so long
// that whatever happens was not found by polling.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {

inline const std::string kNoPolling = "[supervisor]\npolling_interval = \"1h\"\n";
inline const std::string kNoHurry = "[supervisor]\npolling_interval = \"1h\"\nstart_deadline = \"10m\"\n";
inline const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
inline const std::string kTestTasks = POSTPONE_TEST_TASKS;

class Reload : public DatabaseStory {
 protected:
  // A job of `queue` that runs until released.
  std::string long_job(const std::string& queue, const std::string& name) const {
    const auto id = defer("test.until", queue, R"({"file": ")" + files_.file(name) + R"("})");
    EXPECT_TRUE(becomes(id, "doing"));
    return id;
  }
  void release(const std::string& name) const { std::ofstream(files_.file(name)) << "go"; }

  // Has the file read again; waits until the log says what became of it, and returns that line.
  static std::string reload(Family& family, const std::string& config) {
    family.rewrite(config);
    const std::size_t before = family.log().size();
    family.signal(SIGHUP);
    std::string line;
    eventually([&] {
      const std::string said = family.log().substr(before);
      auto at = said.find("config.toml is in force: ");
      if (at == std::string::npos) at = said.find("config.toml is not taken");
      if (at == std::string::npos || said.find('\n', at) == std::string::npos) return false;
      line = said.substr(at, said.find('\n', at) - at);
      return true;
    });
    return line;
  }
  static bool has(Family& family, const std::string& title, std::size_t count) {
    return eventually([&] { return family.processes("postpone: sub-worker " + title).size() == count; });
  }
  static bool idles(Family& family, const std::string& title, std::size_t count) {
    return eventually([&] {
      std::size_t idle = 0;
      for (const auto& [pid, its] : family.processes())
        idle += its.starts_with("postpone: sub-worker " + title) && its.ends_with(": idle") ? 1 : 0;
      return idle == count;
    });
  }

  // A task executable like test_tasks, of which each start takes a ticket, and waits until there is one.
  std::string gated() const {
    const std::string path = files_.file("gated");
    std::ofstream(path) << "#!/bin/sh\n"
                           "while [ \"$1\" != --describe ]; do\n"
                           "  for ticket in "
                        << files_.file("ticket.")
                        << "*; do rm \"$ticket\" 2>/dev/null && break 2; done\n"
                           "  sleep 0.01\n"
                           "done\n"
                           "exec "
                        << kTestTasks << " \"$@\"\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  void ticket(int number) const { std::ofstream(files_.file("ticket." + std::to_string(number))) << "go"; }
  // One that does not answer when asked what it has, and has a child that is not in its process group.
  std::string silent() const {
    const std::string path = files_.file("silent");
    std::ofstream(path) << "#!/bin/sh\nsetsid sleep 1000 &\nexec sleep 1000\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  static std::size_t sleepers(const Family& family) {
    std::size_t count = 0;
    for (const auto& [pid, title] : family.processes()) count += title == "sleep 1000" ? 1 : 0;
    return count;
  }
  static pid_t runner_of(const Family& family, const std::string& id) {
    for (const auto& [pid, title] : family.processes())
      if (title.find("(job " + id + ")") != std::string::npos) return pid;
    return 0;
  }
  // The bells of whatever was deferred before have been rung when this has returned. REQUIRES: group m.
  void let_notifications_pass() const { EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded")); }
};

}  // namespace postpone::tests

// What the tests of faults share: a database, files, jobs by their ids, and families that are quick to judge.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {

inline const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
inline const std::string kTestTasks = POSTPONE_TEST_TASKS;

// [supervisor] without polling, so that whatever comes in time was woken for.
inline std::string supervisor_keys(const std::string& more = "") {
  return "[supervisor]\npolling_interval = \"1h\"\n" + more + "\n";
}

inline const std::string kShortSilence =
    "heartbeat_interval = \"500ms\"\nfence_after = \"2500ms\"\nstalled_after = \"4s\"";

// Jobs of queue "q", by their ids, in whatever database sql() speaks to.
class FaultStory : public JobStory {
 protected:
  std::string defer(const std::string& task, const std::string& args = "{}",
                    const std::string& more = "") const {
    return JobStory::defer(task, "q", args, more);
  }
  void touch(const std::string& name) const { std::fclose(std::fopen(files_.file(name).c_str(), "w")); }
  // The sub-worker that runs a job of this task, and its task process.
  static pid_t runner_of(const Family& family, const std::string& task) {
    for (const auto& [pid, title] : family.processes())
      if (title.find(": running " + task) != std::string::npos) return pid;
    return 0;
  }
  // The same, once it runs: the row says "doing" a moment before the process does. Throws when none comes.
  static pid_t runner_once_it_runs(const Family& family, const std::string& task) {
    pid_t runner = 0;
    if (!eventually([&] { return (runner = runner_of(family, task)) != 0; }))
      throw std::runtime_error("no sub-worker runs " + task + "\n" + family.log());
    return runner;
  }
};

class Faults : public FaultStory {
 protected:
  std::string sql(const std::string& statement) const override { return database_.execute(statement); }

  TestDatabase database_;
};

}  // namespace postpone::tests

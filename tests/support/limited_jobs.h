// Jobs of a task with a concurrency limit, that notice when one too many runs (limited_tasks.cc).
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/family.h"
#include "tests/support/files.h"
#include "tests/support/job_story.h"

namespace postpone::tests {

inline const std::string kLimitedTasks = POSTPONE_LIMITED_TASKS;

class LimitedJobs : public DatabaseStory {
 protected:
  // A group of so many sub-workers, whose executable has this limit; 0 = none. Nothing is found by polling.
  static std::string limited(const std::string& group_name, int sub_workers, int limit,
                             const std::string& more = "") {
    return group(group_name, kLimitedTasks, sub_workers,
                 "arguments = [\"--limit=" + std::to_string(limit) + "\"]\n" + more);
  }

  // Jobs that take so long, of which at most so many run at a time. All that share a directory are watched together.
  struct Jobs {
    int count = 1;
    int places = 1;
    int ms = 0;
    bool wait = false;  // until let_go()
    std::string directory = "a";
    std::string task = "limited.job";
    std::string queue = "q";
  };
  void defer_jobs(const Jobs& jobs) const {
    const std::string directory = files_.file(jobs.directory);
    std::filesystem::create_directories(directory);
    sql("SELECT count(postpone_defer('" + jobs.task + "', queue => '" + jobs.queue + "', args => '" +
        R"({"directory": ")" + directory + R"(", "places": )" + std::to_string(jobs.places) + R"(, "ms": )" +
        std::to_string(jobs.ms) + R"(, "waits": )" + (jobs.wait ? "true" : "false") +
        "}')) FROM generate_series(1, " + std::to_string(jobs.count) + ")");
  }
  void defer_others(int count) const {
    sql("SELECT count(postpone_defer('limited.other', queue => 'q')) FROM generate_series(1, " +
        std::to_string(count) + ")");
  }
  void let_go(const std::string& directory = "a") const {
    std::ofstream(files_.file(directory) + "/go") << "go";
  }

  // Those that the jobs of this directory have had; -1: there was none left for one.
  std::set<int> places(const std::string& directory = "a") const {
    std::set<int> places;
    std::istringstream lines(read_file(files_.file(directory) + "/places"));
    std::int64_t job = 0;
    for (int place = 0; lines >> place >> job;) places.insert(place);
    return places;
  }
  // How many of the jobs of this directory have begun, each attempt for itself.
  int begun(const std::string& directory = "a") const {
    const std::string lines = read_file(files_.file(directory) + "/places");
    return static_cast<int>(std::count(lines.begin(), lines.end(), '\n'));
  }
  bool have_begun(int count, const std::string& directory = "a") const {
    return eventually([&] { return begun(directory) == count; });
  }
  bool all_succeed() const {
    return eventually(
        [&] { return sql("SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded'") == "0"; });
  }
  std::string attempts_and_jobs() const {
    return sql(
        "SELECT (SELECT count(*) FROM postpone_attempts) || ' of ' || count(*) FROM procrastinate_jobs");
  }
};

}  // namespace postpone::tests

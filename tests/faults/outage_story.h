// What the tests of outages share: jobs in a database that may be gone for a while.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

#include "tests/faults/faults.h"
#include "tests/support/program.h"

namespace postpone::tests {

inline int count_of(const std::string& text, const std::string& what) {
  int count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

inline bool listens_again(const Family& family, int times) {
  return eventually([&] { return count_of(family.log(), "] listening") >= times; });
}

// On a database that may be gone for a while.
class OutageStory : public FaultStory {
 protected:
  virtual std::string url() const = 0;
  std::string sql(const std::string& statement) const override { return tests::execute(url(), statement); }

  void apply_schema() const {
    const auto run = run_program({POSTPONE_CLI, "schema", "apply", "--database-url", url()});
    if (run.exit_status != 0) throw std::runtime_error(run.errors);
  }

  // So many journal jobs of so many locks; what each lock's jobs do stands in a file of its own.
  void defer_with_locks(int jobs, int locks, int ms) const {
    std::ostringstream statement;
    statement << "SELECT count(postpone_defer('misbehave.journal', queue => 'q', lock => 'lock' || n % "
              << locks << ", args => jsonb_build_object('ms', " << ms << ", 'file', '"
              << files_.file("journal") << "' || n % " << locks << "))) FROM generate_series(1, " << jobs
              << ") AS n";
    sql(statement.str());
  }
  std::string in_state(const std::string& status) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = '" + status + "'");
  }
  bool all_succeed(int jobs, std::chrono::seconds limit = std::chrono::seconds(60)) const {
    return eventually([&] { return in_state("succeeded") == std::to_string(jobs); }, limit);
  }
  bool some_more_succeed() const {
    const int before = std::stoi(in_state("succeeded"));
    return eventually([&] { return std::stoi(in_state("succeeded")) >= before + 5; });
  }

  // Every job of a lock began when the one before had ended, in order, and once; so many in all.
  void expect_each_ran_once(int jobs, int locks) const {
    int ran = 0;
    for (int lock = 0; lock < locks; ++lock) {
      const auto journal = read_journal(files_.file("journal" + std::to_string(lock)));
      std::int64_t last = 0;
      for (std::size_t i = 0; i < journal.size(); ++i) {
        const bool begins = i % 2 == 0;
        EXPECT_EQ(journal[i].what, begins ? "start" : "end") << "lock " << lock << ", line " << i + 1;
        if (begins) {
          EXPECT_GT(journal[i].job_id, last) << "lock " << lock << ", line " << i + 1;
        } else {
          EXPECT_EQ(journal[i].job_id, last) << "lock " << lock << ", line " << i + 1;
        }
        last = journal[i].job_id;
      }
      ran += static_cast<int>(journal.size()) / 2;
    }
    EXPECT_EQ(ran, jobs);
  }
  void expect_each_recorded_once(int jobs) const {
    EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND attempts = 1"),
              std::to_string(jobs));
    EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), std::to_string(jobs));
    EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events WHERE type = 'succeeded'"),
              std::to_string(jobs));
  }
};

}  // namespace postpone::tests

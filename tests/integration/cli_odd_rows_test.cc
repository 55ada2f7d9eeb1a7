// Rows as other programs may write them: every value that a column admits is listed and shown, and costs no
// other row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CliOddRows : public CliStory {
 protected:
  std::string run(std::vector<std::string> arguments) const {
    const ProgramRun result = CliStory::run(arguments);
    EXPECT_EQ(result.exit_status, 0) << testing::PrintToString(arguments) << result.errors;
    return result.output;
  }
  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return nlohmann::json::parse(run(std::move(arguments)));
  }
  std::string defer(const std::string& at) const {
    return sql("SELECT postpone_defer('wash', lock => 'sink', scheduled_at => '" + at + "')");
  }

 private:
  std::vector<std::pair<std::string, std::string>> more_environment() const override {
    return {{"TZ", "UTC"}};
  }
};

TEST_F(CliOddRows, JobsOfEveryTimeAreListedWithThatTime) {
  for (const char* at : {"294276-12-31 23:59:59.999999Z", "infinity", "-infinity", "3000-01-01Z",
                         "1000-01-01Z", "4713-01-01Z BC"})
    defer(at);
  std::vector<std::string> times;
  const auto listed = json({"jobs", "list", "--oldest-first"});
  for (const auto& job : listed["jobs"]) times.push_back(job["scheduled_at"]);
  EXPECT_THAT(times, ElementsAre("294276-12-31T23:59:59.999999Z", "infinity", "-infinity",
                                 "3000-01-01T00:00:00.000000Z", "1000-01-01T00:00:00.000000Z",
                                 "4713-01-01T00:00:00.000000Z BC"));
  EXPECT_THAT(run({"jobs", "list"}),
              AllOf(HasSubstr("294276-12-31 23:59:59.999"), HasSubstr(" infinity"), HasSubstr(" -infinity"),
                    HasSubstr("3000-01-01 00:00:00.000"), Not(HasSubstr("2262-")), Not(HasSubstr("1677-"))));
  EXPECT_THAT(run({"jobs", "show", "2"}),
              AllOf(HasSubstr("scheduled       infinity"), HasSubstr("scheduled at infinity"),
                    HasSubstr("  infinity                 scheduled")));
  EXPECT_EQ(json({"jobs", "show", "2"})["waits_for"][0]["due_in_s"], nullptr);
  for (const char* id : {"1", "3", "4", "5", "6"}) run({"jobs", "show", id});
  for (const char* command : {"queues", "tasks", "locks"}) {
    run({command});
    run({command, "--json"});
  }
  EXPECT_EQ(json({"locks"})["locks"][0]["waiting"], 6);
}

TEST_F(CliOddRows, WorkersAndRunsOfEveryTimeAreListedToo) {
  const std::string worker = sql("SELECT postpone_register_worker('host:1', 'web1', 'kitchen/1', 4711)");
  sql("SELECT postpone_defer('wash', lock => 'sink')");
  const std::string job = sql("SELECT id FROM postpone_fetch_jobs(NULL, " + worker + ", 1)");
  for (const char* at : {"infinity", "-infinity", "294276-12-31", "4713-01-01 BC"}) {
    const std::string time = std::string("'") + at + "'";
    sql("UPDATE procrastinate_workers SET last_heartbeat = " + time);
    sql("UPDATE postpone_workers SET registered_at = " + time);
    sql("UPDATE procrastinate_events SET at = " + time);
    for (const std::vector<std::string>& command : {std::vector<std::string>{"workers"},
                                                    {"locks"},
                                                    {"queues"},
                                                    {"tasks"},
                                                    {"stalled", "list"},
                                                    {"jobs", "show", job}}) {
      run(command);
      json(command);
    }
    EXPECT_EQ(json({"workers"})["workers"][0]["jobs"][0]["id"].dump(), job) << at;
  }
}

TEST_F(CliOddRows, WhatIsNullIsShownAsNotKnown) {
  const std::string job = sql("SELECT postpone_defer('wash')");
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  sql("UPDATE procrastinate_jobs SET status = 'failed', attempts = 1");
  sql("UPDATE procrastinate_events SET at = NULL WHERE type = 'started'");
  sql("UPDATE procrastinate_events SET type = NULL WHERE type = 'failed'");
  sql("INSERT INTO procrastinate_events (job_id, type, at) VALUES (" + job + ", NULL, NULL)");
  sql("INSERT INTO postpone_attempts (job_id, attempt, cause) VALUES (" + job + ", 1, 'worker_lost')");
  EXPECT_THAT(run({"jobs", "show", job}),
              AllOf(HasSubstr("at a time not known      started"), HasSubstr("(an event without a type)"),
                    HasSubstr("its run time, CPU and memory not known"), Not(HasSubstr("0.0 ms")),
                    Not(HasSubstr(" 0 B"))));
  const auto shown = json({"jobs", "show", job});
  EXPECT_EQ(shown["events"].size(), 4U);
  EXPECT_EQ(shown["events"][1], (nlohmann::json{{"type", "started"}, {"at", nullptr}}));
  EXPECT_EQ(shown["events"][3], (nlohmann::json{{"type", nullptr}, {"at", nullptr}}));
  EXPECT_EQ(shown["history"][0]["run_time_s"], nullptr);
  EXPECT_EQ(shown["history"][0]["max_rss_bytes"], nullptr);
  sql("UPDATE postpone_attempts SET run_time = 'NaN', cpu_time = 'Infinity', max_rss = -1");
  run({"jobs", "show", job});
  for (const char* command : {"queues", "tasks", "locks", "workers"}) run({command});
  sql("UPDATE postpone_attempts SET run_time = -1e308, cpu_time = 1e308");
  EXPECT_THAT(run({"jobs", "show", job}), HasSubstr(" after ?, CPU ?, memory "));
  sql("UPDATE procrastinate_events SET at = NULL, type = NULL");
  run({"queues"});
}

TEST_F(CliOddRows, NamesThatChangeTheDirectionOfWritingAreShownByTheirNumbers) {
  const std::string name = "a\u202Eb\u2066c\u200Fd\u2028e";
  const std::string shown = "a\\u202Eb\\u2066c\\u200Fd\\u2028e";
  const std::string job =
      sql("SELECT postpone_defer('" + name + "', '{\"k\": \"" + name + "\"}', queue => '" + name +
          "', lock => '" + name + "', queueing_lock => '" + name + "')");
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"jobs", "list"}, {"jobs", "show", job}, {"queues"}, {"tasks"}, {"locks"}}) {
    const std::string text = run(command);
    EXPECT_THAT(text, HasSubstr(shown)) << testing::PrintToString(command);
    for (const char* obeyed : {"\u202E", "\u2066", "\u200F", "\u2028"})
      EXPECT_THAT(text, Not(HasSubstr(obeyed))) << testing::PrintToString(command);
  }
}

}  // namespace
}  // namespace postpone::tests

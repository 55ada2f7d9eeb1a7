// Notifications are hints, which anybody who may connect can give: what stops a running job is what stands in
// the database, and it does whether a notification came or not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/faults/faults.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kNoOutcome = "no outcome is recorded";

class Hints : public Faults {
 protected:
  // No time is granted to a task that is told to stop: it does not come to that.
  static std::string config(const std::string& supervisor = supervisor_keys(), const char* grace = "1h") {
    return supervisor + group("q", kTestTasks, 2, "abort_grace = \"" + std::string(grace) + "\"");
  }

  // A job that beats, and does not look whether it should stop.
  std::string beating(const std::string& journal, const std::string& more = "") const {
    const auto id = defer("test.beat", file_argument(journal), more);
    EXPECT_TRUE(eventually([&] { return !read_journal(files_.file(journal)).empty(); }));
    // Not only claimed: what is done to its row by hand is to be seen there.
    EXPECT_TRUE(becomes(id, "doing"));
    return id;
  }
  bool still_beats(const std::string& journal) const {
    const auto seen = read_journal(files_.file(journal)).size();
    return eventually([&] { return read_journal(files_.file(journal)).size() > seen; });
  }
  pid_t beater(const std::string& journal) const { return read_journal(files_.file(journal)).front().pid; }
};

TEST_F(Hints, AStrangersNotificationsStopNoJobAndKeepNobodyFromWaking) {
  const std::string stranger = database_.name() + "_stranger";
  sql("CREATE ROLE " + stranger + " LOGIN");
  Family family(database_.url(), config(supervisor_keys(), "100ms"));
  family.wait_until_ready(2);
  const auto id = beating("journal");
  execute(database_.url() + " user=" + stranger,
          "SELECT pg_notify('procrastinate_any_queue_v1', "
          "'{\"type\":\"abort_job_requested\",\"job_id\":" +
              id +
              "}');"
              "SELECT pg_notify('procrastinate_any_queue_v1', format("
              "'{\"type\":\"abort_job_requested\",\"job_id\":%s}', n)) FROM generate_series(1, 20000) AS n;"
              "SELECT pg_notify('procrastinate_any_queue_v1', repeat(word, 7000 / length(word)) || n)"
              "FROM unnest(ARRAY['[', '{\"a\":', 'job_inserted', '\\u00e4', ' ']) AS word,"
              "generate_series(1, 20) AS n");
  // The next ones on the same wire: all of the above is heard, and looked after, before them.
  EXPECT_TRUE(becomes(defer("test.tick"), "succeeded")) << family.log();
  const auto other = beating("other");
  sql("SELECT procrastinate_cancel_job_v1(" + other + ", true, false)");
  EXPECT_TRUE(becomes(other, "aborted")) << family.log();
  EXPECT_TRUE(still_beats("journal")) << family.log();
  EXPECT_EQ(status(id), "doing");
  touch("journal.stop");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
  sql("DROP ROLE " + stranger);
}

// What takes a running job away from its runner, who is told at once: nothing here is polled for.
class TakenAway : public Hints, public testing::WithParamInterface<const char*> {};

TEST_P(TakenAway, AJobStopsAtOnceAndHasNoOutcome) {
  Family family(database_.url(), config());
  family.wait_until_ready(2);
  const auto id = beating("journal", ", lock => 'one'");
  const pid_t beating_process = beater("journal");
  std::string statement = GetParam();
  statement.replace(statement.find("ID"), 2, id);
  sql(statement);
  EXPECT_TRUE(eventually([&] { return family.log().find(kNoOutcome) != std::string::npos; })) << family.log();
  EXPECT_FALSE(family.processes().contains(beating_process));
  EXPECT_THAT(causes(id), Not(HasSubstr("aborted")));
  touch("journal.stop");  // who runs it now ends it
  EXPECT_TRUE(eventually([&] { return status(id) != "doing"; }));
  EXPECT_TRUE(becomes(defer("test.tick", "{}", ", lock => 'one'"), "succeeded")) << family.log();
}

INSTANTIATE_TEST_SUITE_P(
    Statements, TakenAway,
    testing::Values("DELETE FROM procrastinate_jobs WHERE id = ID",
                    "UPDATE procrastinate_jobs SET status = 'todo' WHERE id = ID",
                    "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL WHERE id = ID",
                    "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = ID",
                    "SELECT procrastinate_finish_job_v1(ID, 'succeeded', false)",
                    "SELECT procrastinate_finish_job_v1(ID, 'failed', true)",
                    "SELECT procrastinate_retry_job_v2(ID, now(), NULL, NULL, NULL)",
                    "SELECT postpone_finish_by_hand(ID, 'failed', 30, true)"));

TEST_F(Hints, WhatNoNotificationTellsIsPolledFor) {
  Family family(database_.url(), config("[supervisor]\npolling_interval = \"200ms\"\n"));
  family.wait_until_ready(2);
  beating("journal");
  const pid_t beating_process = beater("journal");
  sql("TRUNCATE procrastinate_jobs CASCADE");
  EXPECT_TRUE(eventually([&] { return family.log().find(kNoOutcome) != std::string::npos; })) << family.log();
  EXPECT_FALSE(family.processes().contains(beating_process));
}

TEST_F(Hints, AJobThatIsTakenAwayAndRunAgainAtOnceIsStoppedOnce) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 1, "abort_grace = \"1h\""));
  family.wait_until_ready(1);
  const auto id = beating("journal");
  const pid_t first = beater("journal");
  sql("UPDATE procrastinate_jobs SET status = 'todo' WHERE id = " + id);
  ASSERT_TRUE(eventually([&] { return read_journal(files_.file("journal")).back().pid != first; }))
      << family.log();
  EXPECT_TRUE(still_beats("journal"));
  touch("journal.stop");
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
}

}  // namespace
}  // namespace postpone::tests

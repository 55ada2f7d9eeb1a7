// Jobs that ended long ago go: by [retention], and by Python's task remove_old_jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";

class RetainedJobs : public DatabaseStory {
 protected:
  // Jobs that ended so long ago, with the events of such jobs. The oldest first, as ids of events are given.
  void write_ended(const std::string& status, const std::string& queue, const std::string& ago, int count) {
    const std::string at = "now() - interval '" + ago + "'";
    sql("WITH jobs AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status, attempts) SELECT '" +
        queue + "', 'old', '" + status + "', 1 FROM generate_series(1, " + std::to_string(count) +
        ") RETURNING id), ended AS (INSERT INTO procrastinate_events (job_id, type, at) SELECT id, '" +
        status + "', " + at +
        " FROM jobs) INSERT INTO postpone_attempts (job_id, attempt, cause, ended_at)"
        " SELECT id, 1, 'succeeded', " +
        at + " FROM jobs");
  }
  std::string left(const std::string& status, const std::string& queue) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = '" + status + "' AND queue_name = '" +
               queue + "'");
  }
  bool go(const std::string& status, const std::string& queue) const {
    return eventually([&] { return left(status, queue) == "0"; });
  }
};

TEST_F(RetainedJobs, GoWhenTheyAreOldEnough) {
  write_ended("failed", "m", "31 days", 3);
  write_ended("succeeded", "m", "8 days", 1500);
  write_ended("failed", "m", "8 days", 3);
  write_ended("succeeded", "m", "6 days", 3);
  Family family(database_.url(),
                "[retention]\nsucceeded = \"7d\"\nfailed = \"30d\"\n" + group("m", kMisbehave, 1));
  EXPECT_TRUE(eventually([&] { return left("succeeded", "m") == "3"; })) << family.log();
  EXPECT_TRUE(eventually([&] { return left("failed", "m") == "3"; })) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_events"), "6")
      << "events and attempts go with their jobs";
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts"), "6");
  EXPECT_TRUE(eventually([&] {
    return family.log().find("removed 1500 job(s) that ended more than 7d ago") != std::string::npos;
  }));
}

TEST_F(RetainedJobs, GoByTheTimesOfTheirQueue) {
  write_ended("succeeded", "audit", "60 days", 3);
  write_ended("succeeded", "m", "2 days", 3);
  write_ended("succeeded", "mail", "2 hours", 3);
  write_ended("succeeded", "m", "2 hours", 3);
  Family family(database_.url(),
                "[retention]\nsucceeded = \"1d\"\n[[retention.queue]]\nname = \"mail\"\nsucceeded = "
                "\"1h\"\n[[retention.queue]]\nname = \"audit\"\nsucceeded = \"0s\"\n" +
                    group("m", kMisbehave, 1));
  EXPECT_TRUE(go("succeeded", "mail")) << family.log();
  EXPECT_TRUE(eventually([&] { return left("succeeded", "m") == "3"; }));
  EXPECT_EQ(left("succeeded", "audit"), "3");
}

TEST_F(RetainedJobs, GoSoonAfterTheyHaveEnded) {
  Family family(database_.url(), "[retention]\nsucceeded = \"1s\"\n" + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto later = defer("misbehave.noop", "m", "{}", ", scheduled_at => now() + interval '1 hour'");
  defer("misbehave.noop", "m");
  EXPECT_TRUE(eventually([&] { return sql("SELECT count(*) FROM procrastinate_jobs") == "1"; }))
      << family.log();
  EXPECT_EQ(status(later), "todo") << "one that waits never goes";
}

TEST_F(RetainedJobs, OneThatTheApplicationHoldsStaysAndTheOthersGo) {
  write_ended("succeeded", "m", "2 days", 20);
  sql("CREATE TABLE invoice (job bigint REFERENCES procrastinate_jobs)");
  sql("INSERT INTO invoice SELECT min(id) FROM procrastinate_jobs");
  Family family(database_.url(), "[retention]\nsucceeded = \"1d\"\n" + group("m", kMisbehave, 1));
  EXPECT_TRUE(eventually([&] { return left("succeeded", "m") == "1"; })) << family.log();
}

// Two supervisors do the work of one, not twice.
TEST_F(RetainedJobs, GoBesideTwoSupervisors) {
  write_ended("succeeded", "m", "2 days", 3000);
  const auto config = "[retention]\nsucceeded = \"1d\"\n" + group("m", kMisbehave, 1);
  Family one(database_.url(), config);
  Family two(database_.url(), config);
  EXPECT_TRUE(go("succeeded", "m")) << one.log() << two.log();
}

TEST_F(RetainedJobs, GoByPythonsTaskToo) {
  write_ended("succeeded", "m", "3 hours", 5);
  write_ended("failed", "m", "3 hours", 5);
  write_ended("succeeded", "other", "3 hours", 5);
  Family family(database_.url(), group("builtin", kMisbehave, 1, "bad_arguments = \"fail\"\n"));
  family.wait_until_ready(1);
  const std::string task = "builtin:procrastinate.builtin_tasks.remove_old_jobs";
  const auto bad = defer(task, "builtin", R"({"max_hours": "two"})");
  EXPECT_TRUE(becomes(bad, "failed")) << family.log();
  EXPECT_EQ(causes(bad), "bad_arguments");
  const auto good = defer(task, "builtin", R"({"max_hours": 2, "queue": "m"})");
  EXPECT_TRUE(becomes(good, "succeeded")) << family.log();
  EXPECT_EQ(left("succeeded", "m"), "0");
  EXPECT_EQ(left("failed", "m"), "5");
  EXPECT_EQ(left("succeeded", "other"), "5");
  EXPECT_THAT(family.log(), HasSubstr("removed 5 old job(s)"));
  const auto all = defer("procrastinate.builtin_tasks.remove_old_jobs", "builtin",
                         R"({"max_hours": 2, "remove_failed": true, "timestamp": 7})");
  EXPECT_TRUE(becomes(all, "succeeded")) << family.log();
  EXPECT_EQ(left("failed", "m"), "0");
  EXPECT_EQ(status(bad), "failed") << "it is young";
}

}  // namespace
}  // namespace postpone::tests

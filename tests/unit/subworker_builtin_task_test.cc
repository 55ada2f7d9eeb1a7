#include "subworker/worker/builtin_task.h"

#include <gmock/gmock.h>

#include <stdexcept>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using sql::JobStatus;
using testing::ElementsAre;

std::string fault_of(const char* args) {
  try {
    remove_old_jobs_options(args);
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(BuiltinTask, HasBothNamesThatPythonGivesIt) {
  EXPECT_TRUE(builtin_task("builtin:procrastinate.builtin_tasks.remove_old_jobs"));
  EXPECT_TRUE(builtin_task("procrastinate.builtin_tasks.remove_old_jobs"));
  EXPECT_FALSE(builtin_task("remove_old_jobs"));
  EXPECT_FALSE(builtin_task("builtin:"));
}

TEST(BuiltinTask, OldJobsAreThoseThatHaveSucceeded) {
  const auto options = remove_old_jobs_options(R"({"max_hours": 72})");
  EXPECT_EQ(options.older_than, 72h);
  EXPECT_THAT(options.statuses, ElementsAre(JobStatus::succeeded));
  EXPECT_EQ(options.queue, std::nullopt);
}

TEST(BuiltinTask, OtherOldJobsOnRequest) {
  const auto options = remove_old_jobs_options(
      R"({"max_hours": 0.5, "queue": "mail", "remove_failed": true, "remove_cancelled": false,)"
      R"( "remove_aborted": true, "timestamp": 1700000000})");
  EXPECT_EQ(options.older_than, 30min);
  EXPECT_THAT(options.statuses,
              testing::UnorderedElementsAre(JobStatus::succeeded, JobStatus::failed, JobStatus::aborted));
  EXPECT_EQ(options.queue, "mail");
}

TEST(BuiltinTask, WrongArgumentsAreNamed) {
  EXPECT_EQ(fault_of("{}"),
            "argument \"max_hours\" of remove_old_jobs is missing: expected a number of hours");
  EXPECT_EQ(fault_of(R"({"max_hours": "7"})"),
            "argument \"max_hours\" of remove_old_jobs must be a number of hours, from 0 up");
  EXPECT_NE(fault_of(R"({"max_hours": -1})"), "");
  EXPECT_NE(fault_of(R"({"max_hours": 1, "queue": 7})"), "");
  EXPECT_NE(fault_of(R"({"max_hours": 1, "remove_failed": "yes"})"), "");
  EXPECT_EQ(
      fault_of(R"({"max_hours": 1, "remove_error": true})"),
      "argument \"remove_error\" of remove_old_jobs is unknown; it takes max_hours, queue, remove_failed, "
      "remove_cancelled, remove_aborted");
  EXPECT_NE(fault_of("[]"), "");
  EXPECT_NE(fault_of("{"), "");
}

}  // namespace
}  // namespace postpone::subworker

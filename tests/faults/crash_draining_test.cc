// How a family ends on a signal, and what becomes of the jobs that run.
#include <csignal>
#include <string>

#include "tests/faults/faults.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using Crash = Faults;

TEST_F(Crash, DrainingLetsTheRunningJobEnd) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("go"));
  ASSERT_TRUE(becomes(id, "doing"));
  family.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return family.processes("postpone: sub-worker").size() == 1; }))
      << "the idle one has left";
  const auto late = defer("test.tick");
  touch("go");
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_EQ(status(id), "succeeded");
  EXPECT_EQ(status(late), "todo");
  EXPECT_TRUE(family.processes().empty());
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

TEST_F(Crash, ASecondSignalMeansNowAndTheJobWaitsAgain) {
  Family family(database_.url(), supervisor_keys() + group("q", kTestTasks, 2));
  family.wait_until_ready(2);
  const auto id = defer("test.until", file_argument("never"));
  ASSERT_TRUE(becomes(id, "doing"));
  family.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return family.log().find("draining") != std::string::npos; }));
  family.signal(SIGTERM);
  EXPECT_EQ(family.wait().code, 0) << family.log();
  EXPECT_EQ(status(id), "todo");
  EXPECT_EQ(causes(id), "aborted");
  EXPECT_TRUE(family.processes().empty());
}

TEST_F(Crash, WhenTheGraceIsOverAJobIsToldToStopAndWaitsAgain) {
  Family family(database_.url(), supervisor_keys("shutdown_grace = \"200ms\"") + group("q", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto id = defer("misbehave.wait", R"({"ms": 600000})");
  ASSERT_TRUE(becomes(id, "doing"));
  EXPECT_EQ(family.stop().code, 0) << family.log();
  EXPECT_EQ(status(id), "todo");
  EXPECT_THAT(sql("SELECT message FROM postpone_attempts"), HasSubstr("shut down"));
}

}  // namespace
}  // namespace postpone::tests

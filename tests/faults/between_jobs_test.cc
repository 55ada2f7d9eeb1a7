// What one job does to its process costs that job, and not the next one.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>

#include "tests/faults/faults.h"
#include "tests/support/language.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

class BetweenJobs : public Faults, public testing::WithParamInterface<Language> {
 protected:
  static std::string test_tasks() { return test_tasks_in(GetParam()); }
  std::string file(const std::string& name) const { return files_.file(name); }
  // A job of the only sub-worker, to its end.
  bool ends(const std::string& task, const std::string& args, const std::string& how) const {
    return becomes(defer(task, args), how);
  }
};

INSTANTIATE_TEST_SUITE_P(, BetweenJobs, testing::ValuesIn(kLanguages));

TEST_P(BetweenJobs, AJobThatClosesItsOutputCostsItsProcessAndNotTheDataOfTheNext) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  const auto before = family.processes(process_title(test_tasks()));
  EXPECT_TRUE(ends("test.close_output", "{}", "succeeded"));
  for (const char* name : {"one", "two"}) {
    EXPECT_TRUE(ends("test.write_both", file_argument(name), "succeeded")) << family.log();
    EXPECT_EQ(read_file(file(name)), "my data\nmore\n");
  }
  EXPECT_THAT(family.log(),
              AllOf(HasSubstr("test.write_both stdout: hello"), HasSubstr("is replaced before the next job"),
                    HasSubstr("descriptor 1 is closed")));
  EXPECT_NE(family.processes(process_title(test_tasks())), before);
}

TEST_P(BetweenJobs, AJobThatPutsAFileInThePlaceOfStdoutKeepsItForItself) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(ends("test.redirect", file_argument("mine"), "succeeded"));
  EXPECT_TRUE(ends("test.write_both", file_argument("other"), "succeeded"));
  EXPECT_EQ(read_file(file("mine")), "");
  EXPECT_THAT(family.log(), AllOf(HasSubstr("test.write_both stdout: hello"),
                                  HasSubstr("descriptor 1 is " + file("mine"))));
}

TEST_P(BetweenJobs, AProcessWithoutADescriptorLeftFailsNoSecondJob) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(ends("test.exhaust_descriptors", "{}", "failed"));
  EXPECT_TRUE(ends("test.write_both", file_argument("file"), "succeeded")) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("descriptors left to open"));
}

TEST_P(BetweenJobs, AJobThatBeginsAFrameAndReturnsIsFoundOut) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  const auto id = defer("test.begin_a_frame");
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "protocol_error");
  EXPECT_THAT(sql("SELECT message FROM postpone_attempts WHERE job_id = " + id), HasSubstr("begun a frame"));
}

TEST_P(BetweenJobs, WhatComesOverTheChannelAfterAJobIsNotTheFaultOfTheNext) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  EXPECT_TRUE(ends("test.begin_a_frame_later", file_argument("now"), "succeeded"));
  touch("now");
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file("now.done")); }));
  EXPECT_TRUE(ends("test.write_both", file_argument("file"), "succeeded")) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("a piece of a frame"));
}

// Twelve MiB of them are within max_output, and a gigabyte of log.
TEST_P(BetweenJobs, LinesCountByWhatTheyCostInTheLog) {
  Family family(database_.url(), supervisor_keys("subworker_timeout = \"3s\"") +
                                     group("q", test_tasks(), 1, "max_output = \"1MiB\""));
  family.wait_until_ready(1);
  const auto sub_workers = family.processes("postpone: sub-worker");
  const auto small = defer("test.write_newlines", R"({"kib": 4})");
  EXPECT_TRUE(becomes(small, "succeeded"));
  const auto flood = defer("test.write_newlines", R"({"kib": 900})");
  EXPECT_TRUE(becomes(flood, "failed")) << "though it has written less than a MiB";
  EXPECT_EQ(causes(flood), "output_flood");
  const std::string log = family.log();
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 4096 + 1024 * 1024 / 100 + 200);
  // For a moment the child that becomes a task process has the name of its parent.
  EXPECT_TRUE(eventually([&] { return family.processes("postpone: sub-worker") == sub_workers; }));
}

TEST_P(BetweenJobs, ATimeLimitStrikesAmidManyShortLines) {
  Family family(
      database_.url(),
      supervisor_keys("subworker_timeout = \"3s\"") +
          group("q", test_tasks(), 1, "max_output = \"64GiB\"\ntime_limit = \"1s\"\nabort_grace = \"1s\""));
  family.wait_until_ready(1);
  const auto id = defer("test.write_newlines", R"({"kib": 100000000})");
  EXPECT_TRUE(becomes(id, "failed")) << family.log();
  EXPECT_EQ(causes(id), "timed_out");
}

}  // namespace
}  // namespace postpone::tests

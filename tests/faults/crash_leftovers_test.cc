// What a job leaves behind, daemons, children and their output, touches no other job.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <iterator>
#include <map>
#include <string>

#include "tests/faults/faults.h"
#include "tests/support/language.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

class Leftovers : public Faults, public testing::WithParamInterface<Language> {
 protected:
  static std::string misbehave() { return misbehave_in(GetParam()); }
  static std::string test_tasks() { return test_tasks_in(GetParam()); }
  // The housekeeper may be asking one to describe itself, which takes a while in Python.
  static bool task_processes_become(const Family& family, const std::string& executable, std::size_t count) {
    return eventually([&] { return family.processes(process_title(executable)).size() == count; });
  }
};

INSTANTIATE_TEST_SUITE_P(, Leftovers, testing::ValuesIn(kLanguages));

TEST_P(Leftovers, ADaemonThatAJobForkedAwayDoesNotSurvive) {
  Family family(database_.url(), supervisor_keys() + group("q", misbehave(), 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(becomes(defer("misbehave.forkaway"), "succeeded"));
  EXPECT_TRUE(task_processes_become(family, misbehave(), 1)) << "the task process alone is left";
  EXPECT_THAT(family.log(), HasSubstr("had left behind"));
}

// A backlog leaves no idle moment in which to look for daemons, and the next job of a lock comes at once.
TEST_P(Leftovers, ADaemonIsDeadBeforeTheNextJobOfItsLockStarts) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1));
  family.wait_until_ready(1);
  constexpr int kPairs = 10;
  sql("SELECT count(postpone_defer(task, queue => 'q', lock => 'l', args => '{\"ms\": 4, \"file\": \"" +
      files_.file("journal") + "\"}')) FROM generate_series(1, " + std::to_string(kPairs) +
      ") pair, unnest(ARRAY['test.daemon', 'test.beat']) task");
  ASSERT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'") ==
           std::to_string(2 * kPairs);
  })) << family.log();
  std::map<std::int64_t, std::int64_t> first;
  std::map<std::int64_t, std::int64_t> last;
  for (const JournalLine& line : read_journal(files_.file("journal"))) {
    first.try_emplace(line.job_id, line.at_ns);
    last[line.job_id] = std::max(last[line.job_id], line.at_ns);
  }
  ASSERT_EQ(first.size(), static_cast<std::size_t>(2 * kPairs));
  for (auto next = std::next(first.begin()); next != first.end(); ++next)
    EXPECT_LT(last.at(std::prev(next)->first), next->second) << "job " << next->first;
}

// Whichever way it was started, and whoever its parent is by now.
TEST_P(Leftovers, NothingThatAJobStartedIsAliveWhenTheNextJobOfItsLockRuns) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 2));
  family.wait_until_ready(2);
  std::string last;
  for (const std::string way :
       {"fork", "posix_spawn", "popen", "shell", "session", "double fork", "subreaper"}) {
    const std::string file = files_.file(way.substr(0, way.find(' ')));
    defer("test.leave", R"({"way": ")" + way + R"(", "file": ")" + file + R"("})", ", lock => '" + way + "'");
    last = defer("test.gone", R"({"file": ")" + file + R"("})", ", lock => '" + way + "'");
    EXPECT_TRUE(becomes(last, "succeeded")) << way << '\n' << family.log();
  }
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"), "14") << family.log();
  EXPECT_TRUE(task_processes_become(family, test_tasks(), 2)) << "the task processes live on";
  EXPECT_THAT(family.log(), HasSubstr("had left behind"));
}

TEST_P(Leftovers, WhatALeftChildWritesIsNeitherSaidByNorChargedToTheNextJob) {
  Family family(database_.url(), supervisor_keys() + group("q", test_tasks(), 1, "max_output = \"64KiB\""));
  family.wait_until_ready(1);
  const auto talker =
      defer("test.leave", R"({"way": "chatter", "file": ")" + files_.file("pid") + R"("})", ", lock => 'l'");
  const auto next = defer("test.until", file_argument("go"), ", lock => 'l'");
  ASSERT_TRUE(becomes(next, "doing")) << family.log();
  EXPECT_TRUE(becomes(talker, "succeeded")) << family.log();
  const auto said = [&](const std::string& id) {
    const std::string log = family.log();
    return log.find("job " + id + " test.leave stdout: chatter") != std::string::npos;
  };
  EXPECT_TRUE(said(talker)) << family.log();
  touch("go");
  EXPECT_TRUE(becomes(next, "succeeded")) << family.log();
  EXPECT_THAT(family.log(), testing::Not(HasSubstr("test.until stdout: chatter")));
}

TEST_P(Leftovers, AHelperThatATaskExecutableStartedForItselfIsLeftAlone) {
  const std::string file = files_.file("helper");
  Family family(database_.url(),
                supervisor_keys() + group("q", test_tasks(), 1, "arguments = [\"--helper=" + file + "\"]"));
  family.wait_until_ready(1);
  for (int i = 0; i < 3; ++i) {
    const std::string left = files_.file(std::to_string(i));
    EXPECT_TRUE(becomes(defer("test.leave", R"({"way": "fork", "file": ")" + left + R"("})"), "succeeded"));
    EXPECT_TRUE(becomes(defer("test.gone", R"({"file": ")" + left + R"("})"), "succeeded")) << family.log();
    EXPECT_TRUE(send_signal(std::stoi(read_file(file)), 0)) << family.log();
  }
  const auto known = defer("test.gone", R"({"file": ")" + file + R"("})");
  EXPECT_TRUE(becomes(known, "failed")) << "the helper lives";
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_FALSE(send_signal(std::stoi(read_file(file)), 0)) << "and goes with its task process";
}

TEST_P(Leftovers, WhatForksFasterThanItCanBeListedIsKilledAllTheSame) {
  Family family(database_.url(), supervisor_keys() + group("q", misbehave(), 1));
  family.wait_until_ready(1);
  const auto is_found = [&] { return family.log().find("had left behind") != std::string::npos; };
  // Not each of them gets away: on a busy machine a fork may be refused, or come to nothing.
  for (int tries = 0; tries < 4 && !is_found(); ++tries) {
    EXPECT_TRUE(becomes(defer("misbehave.runaway"), "succeeded"));
    eventually(is_found, 10s);
  }
  EXPECT_TRUE(is_found()) << family.log();
  EXPECT_TRUE(becomes(defer("misbehave.noop"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_TRUE(family.processes().empty());
}

// Its supervisor, its housekeeper and its sub-worker die one after the other, so that nobody is left to bury.
// (Which family of this host kills what was left, another test's perhaps, is not said.)
TEST_P(Leftovers, WhatAFamilyThatWasKilledHasLeftIsDeadBeforeAnotherTakesItsJobs) {
  const std::string config =
      supervisor_keys(kShortSilence) + "[stalled]\naction = \"fail\"\n" + group("q", test_tasks(), 1);
  const std::string left = files_.file("left");
  Family one(database_.url(), config);
  one.wait_until_ready(1);
  if (one.log().find("task processes live in cgroups") == std::string::npos)
    GTEST_SKIP() << "no right to make cgroups";
  const auto first =
      defer("test.leave_and_stay", R"({"way": "double fork", "file": ")" + left + R"("})", ", lock => 'l'");
  ASSERT_TRUE(eventually([&] { return !read_file(left).empty(); }));
  Family two(database_.url(), config);
  two.wait_until_ready(1);
  for (const std::string who : {"postpone: supervisor", "postpone: housekeeper", "postpone: sub-worker"})
    for (const pid_t pid : one.processes(who)) send_signal(pid, SIGKILL);
  ASSERT_TRUE(eventually([&] { return one.processes("postpone:").empty(); }));
  const auto next = defer("test.gone", R"({"file": ")" + left + R"("})", ", lock => 'l'");
  EXPECT_TRUE(becomes(next, "succeeded")) << two.log();
  EXPECT_EQ(causes(first), "worker_lost");
}

}  // namespace
}  // namespace postpone::tests

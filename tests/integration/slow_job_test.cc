// What the log tells of jobs that run long, and what `postpone stack` tells of one: on real families, with
// handlers that are stuck in every way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"
#include "tests/support/program.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;
const std::string kJson = "[log]\nformat = \"json\"\n";
const std::string kSlow = "slow_after = \"100ms\"\nabort_grace = \"100ms\"\n";

class SlowJob : public DatabaseStory {
 protected:
  // The lines about slow jobs that stand in the log by now.
  static std::vector<json> told(const Family& family) {
    std::vector<json> lines;
    std::istringstream log(family.log());
    for (std::string line; std::getline(log, line);) {
      const json object = json::parse(line, nullptr, false);
      if (object.is_object() && object.contains("event") && object["event"] != "job_ended")
        lines.push_back(object);
    }
    return lines;
  }
  // The first of them that holds whatever `condition` asks for.
  template <class Condition>
  static json first(const Family& family, Condition condition) {
    json found;
    EXPECT_TRUE(eventually([&] {
      for (const json& line : told(family)) {
        if (!condition(line)) continue;
        found = line;
        return true;
      }
      return false;
    })) << family.log();
    return found;
  }
  static json first(const Family& family) {
    return first(family, [](const json&) { return true; });
  }
  static std::vector<std::string> stack_of(const json& line) {
    return line.at("stack").get<std::vector<std::string>>();
  }
  void abort(const std::string& id) const {
    sql("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = " + id);
    EXPECT_TRUE(
        eventually([&] { return sql("SELECT status FROM procrastinate_jobs WHERE id = " + id) != "doing"; }));
  }
  ProgramRun stack(const std::string& id) const {
    return run_program({POSTPONE_CLI, "--database-url", database_.url(), "stack", id});
  }
};

TEST_F(SlowJob, AnEndlessLoopIsToldOfWithItsStackAtGrowingIntervals) {
  Family family(database_.url(), kJson + group("m", kMisbehave, 1, kSlow));
  family.wait_until_ready(1, false);
  const auto id = defer("misbehave.spin", "m");
  const json line = first(family);
  EXPECT_EQ(line.at("job"), std::stoi(id));
  EXPECT_EQ(line.at("task"), "misbehave.spin");
  EXPECT_EQ(line.at("level"), "warning");
  EXPECT_EQ(line.at("event"), "slow_job");
  EXPECT_EQ(line.at("state"), "R");
  EXPECT_GT(line.at("rss_bytes"), 100'000);
  EXPECT_THAT(stack_of(line).front(), AllOf(HasSubstr("spin()+0x"), HasSubstr(" (misbehave+0x")));
  EXPECT_THAT(stack_of(line), Not(Contains(HasSubstr("libtask::"))));
  ASSERT_TRUE(eventually([&] { return told(family).size() >= 4; }));
  const auto lines = told(family);
  double due = 0.1;
  for (const json& each : lines) {
    EXPECT_GE(each.at("elapsed_s"), due) << family.log();
    due *= 2;
  }
  EXPECT_GT(lines[3].at("cpu_s"), lines[0].at("cpu_s"));
  abort(id);
}

TEST_F(SlowJob, AHandlerInASystemCallIsToldOfWithTheCall) {
  Family family(database_.url(), kJson + group("m", kMisbehave, 1, kSlow));
  family.wait_until_ready(1, false);
  const auto id = defer("misbehave.hang", "m");
  const json line = first(family);
  EXPECT_EQ(line.at("state"), "S") << "as it was before the question woke it";
  EXPECT_THAT(stack_of(line), Contains(HasSubstr("hang()+0x")));
  EXPECT_LT(line.at("cpu_s"), line.at("elapsed_s"));
  abort(id);
}

TEST_F(SlowJob, AStoppedProcessIsToldOfWithoutAStackAndGoesOnAfterwards) {
  Family family(database_.url(), kJson + group("t", kTestTasks, 1, "slow_after = \"1s\""));
  family.wait_until_ready(1, false);
  const auto id = defer("test.beat", "t", file_argument("beat"));
  ASSERT_TRUE(eventually([&] { return !read_journal(files_.file("beat")).empty(); }));
  const pid_t task = read_journal(files_.file("beat")).front().pid;
  send_signal(task, SIGSTOP);
  const json line = first(family, [](const json& each) { return each.at("state") == "T"; });
  EXPECT_EQ(line.at("task_pid"), task);
  EXPECT_THAT(stack_of(line), IsEmpty());
  EXPECT_THAT(line.at("message").get<std::string>(), HasSubstr("is stopped (SIGSTOP"));
  send_signal(task, SIGCONT);
  std::ofstream(files_.file("beat.stop"));
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
}

TEST_F(SlowJob, TheStackIsThatOfTheThreadThatRunsTheHandler) {
  Family family(database_.url(), kJson + group("t", kTestTasks, 1, kSlow + "arguments = [\"--thread\"]"));
  family.wait_until_ready(1, false);
  const auto id = defer("test.until", "t", file_argument("go"));
  EXPECT_THAT(stack_of(first(family)), Contains(HasSubstr("until(")));
  std::ofstream(files_.file("go"));
  EXPECT_TRUE(becomes(id, "succeeded")) << "it is none the worse for it\n" << family.log();
}

TEST_F(SlowJob, AProgramThatCannotTellIsAskedForNothing) {
  Family family(database_.url(), kJson + group("t", kTestTasks, 1, kSlow + "arguments = [\"--no-stack\"]"));
  family.wait_until_ready(1, false);
  const auto id = defer("test.until", "t", file_argument("go"));
  const json line = first(family);
  EXPECT_THAT(stack_of(line), IsEmpty());
  EXPECT_THAT(line.at("message").get<std::string>(), HasSubstr("no stack: its task executable cannot tell"));
  std::ofstream(files_.file("go"));
  EXPECT_TRUE(becomes(id, "succeeded")) << family.log();
}

TEST_F(SlowJob, AJobOfOrdinaryLengthIsNotToldOf) {
  Family family(database_.url(), kJson + group("m", kMisbehave, 1, "slow_after = \"1h\""));
  family.wait_until_ready(1, false);
  EXPECT_TRUE(becomes(defer("misbehave.wait", "m", R"({"ms": 300})"), "succeeded"));
  EXPECT_THAT(told(family), IsEmpty());
}

TEST_F(SlowJob, PostponeStackPrintsWhereTheHandlerIsAndTheLogHasIt) {
  Family family(database_.url(), kJson + group("m", kMisbehave, 2));
  family.wait_until_ready(2, false);
  const auto id = defer("misbehave.spin", "m");
  defer("misbehave.hang", "m");
  ASSERT_TRUE(eventually([&] {
    return family.processes("postpone: sub-worker m/").size() == 2 &&
           sql("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == "2";
  }));
  ProgramRun shown;
  ASSERT_TRUE(eventually([&] { return (shown = stack(id)).exit_status == 0; }))
      << shown.errors << family.log();
  EXPECT_THAT(shown.output, HasSubstr("job " + id + " has run for "));
  EXPECT_THAT(shown.output, HasSubstr("\n    (anonymous namespace)::spin()+0x"));
  EXPECT_THAT(shown.output, Not(HasSubstr("hang()")));
  const json line = first(family);
  EXPECT_THAT(stack_of(line).front(), HasSubstr("spin()+0x"));
  EXPECT_EQ(line.at("job"), std::stoi(id));
  EXPECT_EQ(line.at("event"), "stack");
}

TEST_F(SlowJob, PostponeStackSaysWhyThereIsNone) {
  const auto nothing = stack("17");
  EXPECT_EQ(nothing.exit_status, 1);
  EXPECT_EQ(nothing.errors, "postpone: there is no job 17\n");
  const auto id = defer("misbehave.noop", "m");
  const auto waits = stack(id);
  EXPECT_EQ(waits.exit_status, 1);
  EXPECT_THAT(waits.errors, HasSubstr("job " + id + " does not run, it waits"));
  sql("SELECT procrastinate_fetch_job_v2(NULL, postpone_register_worker('s', 'elsewhere', 'm/0', 4711))");
  const auto elsewhere = stack(id);
  EXPECT_EQ(elsewhere.exit_status, 1);
  EXPECT_THAT(elsewhere.errors, HasSubstr("runs on host elsewhere (sub-worker m/0, pid 4711), and this is "));
  // A pid that somebody else has by now is not signalled.
  std::string here(256, '\0');
  ::gethostname(here.data(), here.size());
  sql("UPDATE postpone_workers SET host = '" + std::string(here.c_str()) +
      "', pid = " + std::to_string(::getpid()));
  const auto recycled = stack(id);
  EXPECT_EQ(recycled.exit_status, 1);
  EXPECT_THAT(recycled.errors, HasSubstr("sub-worker m/0 (pid " + std::to_string(::getpid()) +
                                         ") does not run here any more"));
}

TEST_F(SlowJob, PostponeStackNeedsPermission) {
  // Somebody else, who may see the server's socket and the programs, and signal nobody.
  const std::vector<std::string> nobody = {"setpriv",
                                           "--reuid=65534",
                                           "--regid=65534",
                                           "--clear-groups",
                                           "--inh-caps=+dac_override",
                                           "--ambient-caps=+dac_override"};
  std::vector<std::string> can = nobody;
  can.emplace_back("true");
  if (run_program(can).exit_status != 0) GTEST_SKIP() << "only root can become somebody else";
  Family family(database_.url(), group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  const auto id = defer("misbehave.hang", "m");
  ASSERT_TRUE(eventually([&] { return stack(id).exit_status == 0; }));
  std::vector<std::string> command = nobody;
  command.insert(command.end(), {POSTPONE_CLI, "--database-url", database_.url(), "stack", id});
  const auto refused = run_program(command);
  EXPECT_EQ(refused.exit_status, 1);
  EXPECT_THAT(refused.errors, HasSubstr("no permission to ask sub-worker m/0"));
  EXPECT_THAT(refused.errors, HasSubstr("or as root"));
}

}  // namespace
}  // namespace postpone::tests

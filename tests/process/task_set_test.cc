// Sets of jobs in a real task process, without a database: how each of them can end, and what is known then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "board/ledger.h"
#include "subworker/task/task_process.h"
#include "tests/process/channel_fixture.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::PlainRun;
using libtask::wire::ResultStatus;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::Language;

class ASetOfJobs : public testing::TestWithParam<Language> {
 protected:
  ASetOfJobs() {
    group_.executable = libtask::channel_tasks_in(GetParam());
    group_.abort_grace = 100ms;
  }
  void add(const std::string& task, const std::string& args = "{}", std::chrono::milliseconds limit = 0ms) {
    sql::Job job;
    job.id = static_cast<sql::JobId>(jobs_.size()) + 1;
    job.task = task;
    job.queue = "q";
    job.args = args;
    jobs_.push_back(job);
    limits_.push_back(limit);
  }
  // Two plain ones, this one, and two more plain ones.
  void add_between_plain_ones(const std::string& task, const std::string& args = "{}",
                              std::chrono::milliseconds limit = 0ms) {
    for (int i = 0; i < 2; ++i) add("channel.nothing");
    add(task, args, limit);
    for (int i = 0; i < 2; ++i) add("channel.nothing");
  }
  TaskProcess& process() {
    if (!process_) {
      process_.emplace(group_, "", ledger_, [this](Output::Stream, std::string_view line) {
        output_.push_back((last_ ? std::to_string(*last_ + 1) : std::string("?")) + " " + std::string(line));
      });
      process_->greet(30s, [] {});
    }
    return *process_;
  }
  // The set is to end with this job. On a busy machine a plain one before it may take so long that it is by
  // itself: then another try.
  Execution run_up_to(std::size_t last) {
    return run_until([&](const Execution&) { return last_ >= last; });
  }
  Garbled run_until_garbled() {
    const auto is_garbled = [](const Execution& execution) {
      return std::holds_alternative<Garbled>(execution.end);
    };
    return std::get<Garbled>(run_until(is_garbled).end);
  }
  Execution run_until(const std::function<bool(const Execution&)>& is_as_meant) {
    Execution execution = run();
    while (!is_as_meant(execution)) {
      process_.reset();
      output_.clear();
      execution = run();
    }
    return execution;
  }
  Execution run() {
    TaskProcess& process = this->process();
    std::vector<SetMember> members;
    for (std::size_t i = 0; i < jobs_.size(); ++i) members.push_back({jobs_[i], limits_[i]});
    SetHooks hooks;
    hooks.on_hand_over = [this](std::uint32_t number) { set_ = number; };
    hooks.goes_on = [this] { return goes_on_; };
    hooks.on_last = [this](std::size_t index, const std::vector<PlainRun>& before) {
      last_ = index;
      before_ = before;
      RunHooks run_hooks;
      run_hooks.on_tick = [this](std::chrono::nanoseconds) { return stop_; };
      return run_hooks;
    };
    return process.run_set(members, hooks);
  }
  // It has ended with the third job, the first two of which were plain.
  void expect_that_the_third_is_the_last() const {
    EXPECT_EQ(last_, 2u);
    EXPECT_EQ(before_.size(), 2u);
  }

  config::Group group_;
  board::Ledger ledger_ = board::Ledger::create();
  std::optional<TaskProcess> process_;
  std::vector<sql::Job> jobs_;
  std::vector<std::chrono::milliseconds> limits_;
  bool goes_on_ = true;
  std::optional<RunHooks::Stop> stop_;
  std::uint32_t set_ = 0;
  std::optional<std::size_t> last_;
  std::vector<PlainRun> before_;
  std::vector<std::string> output_;  // with the number of the job that was known to run
};

INSTANTIATE_TEST_SUITE_P(, ASetOfJobs, testing::ValuesIn(tests::kLanguages));

TEST_P(ASetOfJobs, RunsToItsEndWhenAllIsWell) {
  for (int i = 0; i < 100; ++i) add("channel.nothing");
  const Execution last = run_up_to(99);
  EXPECT_EQ(last_, 99u);
  EXPECT_EQ(before_.size(), 99u);
  EXPECT_EQ(std::get<Returned>(last.end).result.status, ResultStatus::succeeded);
  EXPECT_EQ(process().jobs_served(), 100);
  EXPECT_TRUE(process().is_sound());
  EXPECT_THAT(output_, IsEmpty());
  const std::uint32_t first_set = set_;
  const pid_t pid = process().pid();
  run();
  EXPECT_EQ(process().pid(), pid) << "which is good for another one";
  EXPECT_NE(set_, first_set);
}

TEST_P(ASetOfJobs, EndsAtAFailure) {
  add_between_plain_ones("channel.throw");
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_EQ(std::get<Returned>(last.end).result.message, "no towel");
  EXPECT_TRUE(process().is_sound());
}

TEST_P(ASetOfJobs, EndsAtACrashWhichIsBlamedOnItsJob) {
  add_between_plain_ones("channel.crash");
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_EQ(std::get<Died>(last.end).report.code, SIGABRT);
  EXPECT_FALSE(process().alive());
}

TEST_P(ASetOfJobs, OutputBelongsToTheJobThatWroteIt) {
  add_between_plain_ones("channel.say", R"({"text": "hello\nand bye"})");
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_THAT(output_, ElementsAre("3 hello", "3 and bye"));
  EXPECT_EQ(last.stderr_tail, "hello\nand bye");
}

TEST_P(ASetOfJobs, ATimeLimitIsThatOfItsJob) {
  add_between_plain_ones("channel.pause", "{}", 50ms);
  limits_[0] = limits_[1] = limits_[3] = limits_[4] = 50ms;
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_EQ(last.stop, StopReason::time_limit);
  EXPECT_GE(last.run_time, 50ms);
}

TEST_P(ASetOfJobs, MayTakeLongerThanAJobThatIsByItself) {
  for (int i = 0; i < 10; ++i) add("channel.sleep", R"({"ms": 3})", 1h);
  run_up_to(9);
  EXPECT_EQ(last_, 9u) << "together they take longer than a job that would be by itself";
}

TEST_P(ASetOfJobs, AWishToStopMeansTheJobThatRuns) {
  add_between_plain_ones("channel.pause");
  stop_ = RunHooks::Stop{StopReason::requested};
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_EQ(last.stop, StopReason::requested);
}

TEST_P(ASetOfJobs, AnOrderToKillHitsTheJobThatRuns) {
  add_between_plain_ones("channel.hang");
  stop_ = RunHooks::Stop{StopReason::fenced, true};
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_EQ(std::get<Died>(last.end).report.code, SIGKILL);
}

TEST_P(ASetOfJobs, EndsAtTheJobThatRunsWhenItIsNotToGoOn) {
  for (int i = 0; i < 50; ++i) add("channel.sleep", R"({"ms": 20})");
  goes_on_ = false;
  const Execution last = run();
  EXPECT_LT(last_, 49u);
  EXPECT_EQ(std::get<Returned>(last.end).result.status, ResultStatus::succeeded);
}

// What stands where: the cursor in word 0, the start of the first job in word 1, its end in word 2.
TEST_P(ASetOfJobs, ACursorOfAnotherSetIsAGarble) {
  add_between_plain_ones("channel.scribble", R"({"word": 0, "value": 17})");
  EXPECT_THAT(run_until_garbled().what, HasSubstr("ledger"));
  EXPECT_FALSE(process().alive());
  EXPECT_EQ(last_, before_.size());
}

TEST_P(ASetOfJobs, ACursorBeyondTheSetIsAGarble) {
  const std::uint64_t beyond = libtask::wire::to_word({.set = 1, .stop = false, .index = 5});
  add_between_plain_ones("channel.scribble", R"({"word": 0, "value": )" + std::to_string(beyond) + "}");
  EXPECT_THAT(run_until_garbled().what, HasSubstr("another job runs than can be"));
}

TEST_P(ASetOfJobs, NumbersThatCannotBeAreAGarbleOfTheirJob) {
  add_between_plain_ones("channel.scribble", R"({"word": 2, "value": 17})");
  EXPECT_THAT(run_until_garbled().what, HasSubstr("numbers that cannot be"));
  EXPECT_EQ(last_, 0u) << "the job whose numbers they are";
}

TEST_P(ASetOfJobs, AFalseStartOfTheJobThatRunsMovesNoTime) {
  add("channel.scribble", R"({"word": 1, "value": 17})");
  const Execution last = run();
  EXPECT_EQ(std::get<Returned>(last.end).result.status, ResultStatus::succeeded);
  EXPECT_LT(last.run_time, 1h) << "and it did not begin with the machine";
}

TEST_P(ASetOfJobs, EndsAtAJobThatGivesBackAValueAndKnowsTheMetaOfEach) {
  add_between_plain_ones("channel.give");
  jobs_[1].meta = R"({"tenant": "bob"})";
  jobs_[2].meta = R"({"tenant": "ann"})";
  const Execution last = run_up_to(2);
  expect_that_the_third_is_the_last();
  EXPECT_THAT(last.value, testing::Optional(testing::MatchesRegex(R"(."meta": ?."tenant": ?"ann"..)")));
  EXPECT_EQ(last.progress, (sql::Progress{1, 2, "half"}));
}

using ASetOfOneLanguage = ASetOfJobs;
INSTANTIATE_TEST_SUITE_P(, ASetOfOneLanguage, testing::Values(Language::cpp));

TEST_P(ASetOfOneLanguage, IsNothingForATaskExecutableOfTheFirstProtocol) {
  group_.executable = POSTPONE_OLD_TASK;
  EXPECT_FALSE(process().serves_sets());
  add("old.task");
  jobs_[0].meta = R"({"tenant": "ann"})";
  RunHooks hooks;
  hooks.on_tick = [](std::chrono::nanoseconds) { return std::nullopt; };
  const Execution execution = process().run(jobs_[0], 0ms, hooks);
  EXPECT_EQ(std::get<Returned>(execution.end).result.status, ResultStatus::succeeded);
}

// A person who aborts a job waits for the next look. Each may be late on a busy machine, but not all of them.
TEST_P(ASetOfOneLanguage, IsNoReasonToLookSeldomAtALongJob) {
  add("channel.sleep", R"({"ms": 500})");
  std::vector<std::chrono::nanoseconds> looks;
  RunHooks hooks;
  hooks.on_tick = [&](std::chrono::nanoseconds elapsed) {
    if (elapsed > 50ms) looks.push_back(elapsed);
    return stop_;
  };
  process().run(jobs_[0], 0ms, hooks);
  std::chrono::nanoseconds shortest = 1h;
  for (std::size_t i = 1; i < looks.size(); ++i) shortest = std::min(shortest, looks[i] - looks[i - 1]);
  EXPECT_LT(shortest, 40ms);
}

TEST_P(ASetOfJobs, IsNotNeededForOneThatNoFrameHolds) {
  add("channel.nothing", R"({"a": ")" + std::string(libtask::wire::kMaxFrameBytes, 'x') + R"("})");
  add("channel.sleep", R"({"ms": 200})");
  RunHooks hooks;
  bool runs = false;
  hooks.on_tick = [&](std::chrono::nanoseconds) {
    runs |= process().runs();
    return stop_;
  };
  EXPECT_FALSE(process().runs());
  const Execution execution = process().run(jobs_[0], 0ms, hooks);
  ASSERT_TRUE(std::holds_alternative<Oversized>(execution.end));
  EXPECT_THAT(std::get<Oversized>(execution.end).what, HasSubstr("the arguments are too large"));
  EXPECT_TRUE(process().is_sound());
  EXPECT_TRUE(std::holds_alternative<Returned>(process().run(jobs_[1], 0ms, hooks).end));
  EXPECT_TRUE(runs);
  EXPECT_FALSE(process().runs());
}

}  // namespace
}  // namespace postpone::subworker

#include "subworker/housekeeper/schedules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "subworker/task/task_process.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using Time = Schedules::Clock::time_point;

// The schedules of two groups, whose task executables answer as a test says.
class TheSchedules : public testing::Test {
 protected:
  TheSchedules() { server_clock_.set(sql::SystemTime(1'000'000s), Schedules::Clock::now()); }
  void learn() {
    schedules_.learn(
        [this](const config::Group& group) {
          asked_.push_back(group.name);
          return answers_.at(group.name)();
        },
        Time::max());
  }
  std::string trouble() const {
    return std::string(
        board_.header().housekeeper.schedules.read().value_or(board::SchedulesFacts{}).trouble.view());
  }
  static libtask::wire::Description hourly() {
    libtask::wire::Description description;
    description.tasks.emplace_back().name = "clean";
    auto& periodic = description.periodic.emplace_back();
    periodic.task = "clean";
    periodic.cron = "0 * * * *";
    return description;
  }
  static libtask::wire::Description no_answer() { throw TaskNotAsked("late", TaskNotAsked::Why::cut_off); }
  static libtask::wire::Description wrong() { throw BadTask("no task executable"); }

  static config::Config config() {
    config::Config config;
    config.groups.resize(2);
    config.groups[0].name = "kitchen";
    config.groups[1].name = "cellar";
    return config;
  }

  const config::Config config_ = config();
  board::Board board_ = board::Board::create(1, 1);
  ServerClock server_clock_;
  HousekeeperReporter reporter_{board_.header(), false, 1s};
  Schedules schedules_{config_, server_clock_, reporter_};
  std::map<std::string, std::function<libtask::wire::Description()>> answers_ = {{"kitchen", hourly},
                                                                                 {"cellar", hourly}};
  std::vector<std::string> asked_;
};

TEST_F(TheSchedules, AreAskedForOnceAndTickThen) {
  EXPECT_EQ(schedules_.next_asking(), Time{}) << "at once";
  EXPECT_EQ(schedules_.due(Schedules::Clock::now()), Time::max());
  learn();
  EXPECT_THAT(asked_, testing::ElementsAre("kitchen", "cellar"));
  EXPECT_EQ(schedules_.next_asking(), Time::max());
  EXPECT_LE(schedules_.due(Schedules::Clock::now()), Schedules::Clock::now()) << "to be announced";
  EXPECT_EQ(trouble(), "");
}

TEST_F(TheSchedules, OfAnExecutableWithoutAnAnswerAreAskedForAgain) {
  answers_["kitchen"] = no_answer;
  learn();
  EXPECT_EQ(trouble(), "group kitchen: late");
  EXPECT_NE(schedules_.next_asking(), Time::max());
  asked_.clear();
  answers_["kitchen"] = hourly;
  learn();
  EXPECT_THAT(asked_, testing::ElementsAre("kitchen")) << "the other has answered";
  EXPECT_EQ(trouble(), "");
}

TEST_F(TheSchedules, OfAWrongAnswerAreNotAskedForAgain) {
  answers_["cellar"] = wrong;
  learn();
  EXPECT_EQ(trouble(), "group cellar: no task executable");
  EXPECT_EQ(schedules_.next_asking(), Time::max());
}

TEST_F(TheSchedules, AreAskedForLaterWhenTheHouseCannotBeKeptMeanwhile) {
  answers_["kitchen"] = []() -> libtask::wire::Description {
    throw sql::DatabaseError(sql::Remedy::reconnect, "gone");
  };
  EXPECT_THROW(learn(), sql::DatabaseError);
  EXPECT_EQ(trouble(), "") << "which says nothing of the executable";
  EXPECT_EQ(schedules_.next_asking(), Time{});
}

}  // namespace
}  // namespace postpone::subworker

#include "subworker/housekeeper/periodic.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::Description;
using libtask::wire::Missed;
using libtask::wire::PeriodicDescription;
using libtask::wire::TaskDescription;
using testing::IsEmpty;

const Cron::Time kNoon = std::chrono::sys_days(std::chrono::year(2024) / 5 / 1) + 12h;

Description executable(std::vector<PeriodicDescription> periodic) {
  Description description;
  description.tasks = {TaskDescription{.name = "sweep"}, TaskDescription{.name = "bake"}};
  description.periodic = std::move(periodic);
  return description;
}

// The database has known all of them for long, and is done with the ticks up to `done`.
void start(Periodic& keeper, Cron::Time now, Cron::Time done = {}) {
  keeper.start(std::vector<std::int64_t>(keeper.served().size(), done.time_since_epoch().count()), now);
}

Periodic keeping(std::vector<PeriodicDescription> periodic, Cron::Time now, Cron::Time done = {}) {
  Periodic keeper;
  keeper.add(executable(std::move(periodic)));
  start(keeper, now, done);
  return keeper;
}

PeriodicDescription every_minute(libtask::wire::Missed missed, std::chrono::seconds within) {
  return {.cron = "* * * * *", .task = "sweep", .missed = missed, .missed_within = within};
}

// "task@minutes after noon" of what is due, in order.
std::string due(Periodic& periodic, Cron::Time now) {
  std::string text;
  for (const sql::PeriodicDefer& defer : periodic.take_due(now)) {
    const auto after_noon = Cron::Time(std::chrono::seconds(defer.timestamp)) - kNoon;
    text += (text.empty() ? "" : " ") + defer.job.task + "@" + std::to_string(after_noon / 1min);
  }
  return text;
}

std::string fault_of(std::vector<PeriodicDescription> periodic) {
  try {
    Periodic().add(executable(std::move(periodic)));
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(Periodic, TickIsHandedOutOnceAndWhenItIsDue) {
  auto periodic = keeping({{.cron = "30 * * * *", .task = "sweep"}}, kNoon, kNoon);
  EXPECT_EQ(periodic.next_tick(), kNoon + 30min);
  EXPECT_EQ(due(periodic, kNoon + 30min - 1s), "");
  EXPECT_EQ(due(periodic, kNoon + 30min), "sweep@30");
  EXPECT_EQ(due(periodic, kNoon + 30min), "");
  EXPECT_EQ(periodic.next_tick(), kNoon + 90min);
}

TEST(Periodic, TickThatCouldNotBeDeferredIsDueAgainUntilItIsMissed) {
  for (const auto& [missed, an_hour_later] :
       {std::pair(Missed::skip, "sweep@60"), std::pair(Missed::last, "sweep@60")}) {
    auto periodic = keeping({every_minute(missed, 24h)}, kNoon, kNoon);
    auto ticks = periodic.take_due(kNoon + 1min);
    ASSERT_EQ(ticks.size(), 1U);
    periodic.give_back(ticks);
    EXPECT_EQ(periodic.next_tick(), kNoon + 1min);
    ticks = periodic.take_due(kNoon + 1min + 5s);
    ASSERT_EQ(ticks.size(), 1U) << "it is in time still";
    periodic.give_back(ticks);
    EXPECT_EQ(due(periodic, kNoon + 60min), an_hour_later);
    EXPECT_EQ(due(periodic, kNoon + 60min), "");
  }
}

TEST(Periodic, YearOfMissedSecondsIsNotWalkedThrough) {
  for (const auto& [missed, ticks] : {std::pair(Missed::last, 1U), std::pair(Missed::all, 100U)}) {
    auto periodic =
        keeping({{.cron = "* * * * * *", .task = "sweep", .missed = missed, .missed_within = 24h * 400}},
                kNoon + 24h * 365, kNoon);
    const auto taken = periodic.take_due(kNoon + 24h * 365);
    ASSERT_EQ(taken.size(), ticks);
    EXPECT_EQ(taken.back().timestamp, (kNoon + 24h * 365).time_since_epoch().count());
    EXPECT_EQ(taken.front().timestamp, taken.back().timestamp - ticks + 1);
  }
}

TEST(Periodic, RareTicksAreMadeUpForFromFarBack) {
  auto periodic =
      keeping({{.cron = "0 0 1 * *", .task = "sweep", .missed = Missed::all, .missed_within = 24h * 400}},
              kNoon + 24h * 365, kNoon);
  EXPECT_EQ(periodic.take_due(kNoon + 24h * 365).size(), 12U);
}

TEST(Periodic, OneWrongScheduleKeepsNoOtherFromTicking) {
  Periodic keeper;
  EXPECT_THROW(
      keeper.add(executable({{.cron = "what?", .task = "sweep"}, {.cron = "0 * * * *", .task = "bake"}})),
      std::runtime_error);
  ASSERT_EQ(keeper.served().size(), 1U);
  EXPECT_EQ(keeper.served()[0].job.task, "bake");
}

TEST(Periodic, NewScheduleHasNoTicksBeforeItExisted) {
  auto periodic = keeping({{.cron = "0 * * * *", .task = "sweep"}}, kNoon + 30min, kNoon + 30min);
  EXPECT_EQ(due(periodic, kNoon + 30min), "");
  EXPECT_EQ(periodic.next_tick(), kNoon + 60min);
}

TEST(Periodic, ScheduleThatIsAnnouncedAgainGoesOnAsBefore) {
  auto periodic = keeping({{.cron = "30 * * * *", .task = "sweep"}}, kNoon, kNoon);
  start(periodic, kNoon + 40min, kNoon + 40min);
  EXPECT_EQ(due(periodic, kNoon + 40min), "sweep@30");
}

TEST(Periodic, OfMissedTicksTheLastIsMadeUpFor) {
  auto periodic = keeping({every_minute(Missed::last, 1h)}, kNoon + 5min + 30s, kNoon);
  EXPECT_EQ(due(periodic, kNoon + 5min + 30s), "sweep@5");
  EXPECT_EQ(periodic.next_tick(), kNoon + 6min);
}

TEST(Periodic, MissedTickThatTheDatabaseIsDoneWithIsNotMadeUpFor) {
  auto periodic = keeping({every_minute(Missed::all, 1h)}, kNoon + 5min + 30s, kNoon + 3min);
  EXPECT_EQ(due(periodic, kNoon + 5min + 30s), "sweep@4 sweep@5");
}

TEST(Periodic, MissedTicksAreAllMadeUpForWhereThatIsWanted) {
  auto periodic = keeping({every_minute(Missed::all, 1h)}, kNoon + 3min + 30s, kNoon);
  EXPECT_EQ(due(periodic, kNoon + 3min + 30s), "sweep@1 sweep@2 sweep@3");
}

TEST(Periodic, MissedTicksAreSkippedWhereThatIsWanted) {
  auto periodic = keeping({every_minute(Missed::skip, 1h)}, kNoon + 3min + 30s, kNoon);
  EXPECT_EQ(due(periodic, kNoon + 3min + 30s), "");
  EXPECT_EQ(due(periodic, kNoon + 4min), "sweep@4");
}

TEST(Periodic, TickThatIsHandedOutAMomentLateWasNotMissed) {
  auto periodic = keeping({every_minute(Missed::skip, 0s)}, kNoon + 3min + 9s, kNoon);
  EXPECT_EQ(due(periodic, kNoon + 3min + 9s), "sweep@3") << "another housekeeper had to start first";
  auto last = keeping({every_minute(Missed::last, 0s)}, kNoon + 3min + 9s, kNoon);
  EXPECT_EQ(due(last, kNoon + 3min + 9s), "sweep@3");
}

TEST(Periodic, TicksThatWereMissedTooLongAgoAreGone) {
  auto last = keeping({{.cron = "0 12 * * *", .task = "sweep", .missed_within = 10min}}, kNoon + 11min);
  EXPECT_EQ(due(last, kNoon + 11min), "");
  EXPECT_EQ(last.next_tick(), kNoon + 24h);
  auto all = keeping({every_minute(Missed::all, 2min)}, kNoon + 5min + 30s, kNoon);
  EXPECT_EQ(due(all, kNoon + 5min + 30s), "sweep@4 sweep@5");
}

// The database was away, say.
TEST(Periodic, TicksThatAreMissedWhileItRunsAreTreatedLikewise) {
  const auto missing = [](Missed missed) {
    auto periodic = keeping({every_minute(missed, 3min)}, kNoon, kNoon);
    return due(periodic, kNoon + 5min + 30s);
  };
  EXPECT_EQ(missing(Missed::skip), "");
  EXPECT_EQ(missing(Missed::last), "sweep@5");
  EXPECT_EQ(missing(Missed::all), "sweep@3 sweep@4 sweep@5");
}

TEST(Periodic, NoMoreThanAHundredTicksAreMadeUpFor) {
  auto periodic = keeping({every_minute(Missed::all, 24h)}, kNoon + 10h, kNoon);
  const auto due = periodic.take_due(kNoon + 10h);
  ASSERT_EQ(due.size(), Periodic::kMostMadeUp);
  EXPECT_EQ(due.back().timestamp, (kNoon + 10h).time_since_epoch().count());
}

TEST(Periodic, TicksAreThoseOfTheZone) {
  if (!fault_of({{.cron = "0 9 * * *", .task = "sweep", .zone = "Europe/Paris"}}).empty())
    GTEST_SKIP() << "this host has no zoneinfo";
  auto periodic = keeping({{.cron = "0 15 * * *", .task = "sweep", .zone = "Europe/Paris"}}, kNoon, kNoon);
  EXPECT_EQ(periodic.next_tick(), kNoon + 1h);
  EXPECT_EQ(periodic.served().front().zone, "Europe/Paris");
}

TEST(Periodic, UnknownZoneIsRefused) {
  EXPECT_THAT(fault_of({{.cron = "0 9 * * *", .task = "sweep", .zone = "Europe/Pariss"}}),
              testing::StartsWith("schedule \"0 9 * * *\" of task \"sweep\": "));
  EXPECT_THAT(fault_of({{.cron = "0 9 * * *", .task = "sweep", .zone = "Europe/Pariss"}}),
              testing::HasSubstr("time zone \"Europe/Pariss\""));
}

config::Schedule filed(const std::string& task, const std::string& cron) {
  config::Schedule schedule;
  schedule.task = task;
  schedule.cron = cron;
  return schedule;
}

TEST(Periodic, ScheduleOfTheFileTakesThePlaceOfTheExecutables) {
  auto hourly = filed("sweep", "0 * * * *");
  hourly.arguments = R"({"deep":true})";
  Periodic periodic({hourly});
  periodic.add(executable(
      {{.cron = "* * * * *", .task = "sweep"}, {.cron = "30 * * * *", .task = "sweep", .id = "b"}}));
  periodic.add_rest();
  ASSERT_EQ(periodic.served().size(), 2U);
  EXPECT_EQ(periodic.served()[0].cron, "0 * * * *");
  EXPECT_EQ(periodic.served()[0].job.args, R"({"deep":true})");
  EXPECT_EQ(periodic.served()[1].periodic_id, "b") << "another one of that task";
}

TEST(Periodic, ScheduleOfTheFileHasTheOptionsOfItsTaskButForItsOwn) {
  Description description;
  description.tasks = {TaskDescription{
      .name = "bake", .queue = "kitchen", .priority = 5, .lock = "oven", .queueing_lock = "bake"}};
  auto one = filed("bake", "0 * * * *");
  auto other = filed("bake", "0 * * * *");
  other.id = "other";
  other.queue = "cellar";
  other.priority = 0;
  other.lock = "stove";
  Periodic periodic({one, other});
  periodic.add(description);
  const auto served = periodic.served();
  ASSERT_EQ(served.size(), 2U);
  EXPECT_EQ(served[0].job.queue, "kitchen");
  EXPECT_EQ(served[0].job.priority, 5);
  EXPECT_EQ(served[0].job.lock, "oven");
  EXPECT_EQ(served[1].job.queue, "cellar");
  EXPECT_EQ(served[1].job.priority, 0);
  EXPECT_EQ(served[1].job.lock, "stove");
  EXPECT_EQ(served[1].job.queueing_lock, "bake");
}

TEST(Periodic, ScheduleOfTheFileMayBeForATaskOfAnotherProgram) {
  auto foreign = filed("app.python_task", "0 * * * *");
  foreign.queue = "python";
  Periodic periodic({foreign});
  periodic.add(executable({}));
  EXPECT_THAT(periodic.served(), IsEmpty()) << "another group may have that task";
  periodic.add_rest();
  ASSERT_EQ(periodic.served().size(), 1U);
  EXPECT_EQ(periodic.served().front().job.queue, "python");
  start(periodic, kNoon, kNoon);
  EXPECT_EQ(due(periodic, kNoon + 60min), "app.python_task@60");
}

TEST(Periodic, SchedulesTakeTurnsOldestFirst) {
  auto periodic =
      keeping({{.cron = "5 * * * *", .task = "sweep"}, {.cron = "3 * * * *", .task = "bake"}}, kNoon, kNoon);
  EXPECT_EQ(periodic.next_tick(), kNoon + 3min);
  EXPECT_EQ(due(periodic, kNoon + 5min), "bake@3 sweep@5");
}

TEST(Periodic, SameScheduleOfTwoGroupsCountsOnce) {
  Periodic periodic;
  for (int group = 0; group < 2; ++group)
    periodic.add(executable({{.cron = "0 * * * *", .task = "sweep", .id = "a"}}));
  start(periodic, kNoon);
  EXPECT_EQ(periodic.take_due(kNoon).size(), 1U);
}

TEST(Periodic, TwoSchedulesOfOneTaskAreToldApartByTheirId) {
  auto periodic = keeping({{.cron = "0 * * * *", .task = "sweep", .id = "a", .args = R"({"room": 1})"},
                           {.cron = "0 * * * *", .task = "sweep", .id = "b", .args = R"({"room": 2})"}},
                          kNoon);
  const auto due = periodic.take_due(kNoon);
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].periodic_id, "a");
  EXPECT_EQ(due[1].periodic_id, "b");
}

TEST(Periodic, JobGetsItsTickAsAnArgument) {
  auto periodic = keeping({{.cron = "0 12 * * *", .task = "sweep", .args = R"({"room": "hall"})"}}, kNoon);
  const auto due = periodic.take_due(kNoon);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].timestamp, 1'714'564'800);
  EXPECT_EQ(nlohmann::json::parse(due[0].job.args), (nlohmann::json{{"room", "hall"}}))
      << "the tick is added by the job manager";
}

TEST(Periodic, JobIsWhatItsTaskSays) {
  Description description;
  description.tasks = {TaskDescription{
      .name = "bake", .queue = "kitchen", .priority = 5, .lock = "oven", .queueing_lock = "bake"}};
  description.periodic = {{.cron = "0 * * * *", .task = "bake"}};
  Periodic periodic;
  periodic.add(description);
  start(periodic, kNoon);
  const auto due = periodic.take_due(kNoon);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].job.queue, "kitchen");
  EXPECT_EQ(due[0].job.priority, 5);
  EXPECT_EQ(due[0].job.lock, "oven");
  EXPECT_EQ(due[0].job.queueing_lock, "bake");
}

TEST(Periodic, WithoutSchedulesThereIsNothingToWaitFor) {
  Periodic periodic;
  periodic.add(executable({}));
  start(periodic, kNoon);
  EXPECT_EQ(periodic.next_tick(), std::nullopt);
  EXPECT_THAT(periodic.take_due(kNoon + 24h), IsEmpty());
}

TEST(Periodic, UnknownTaskIsRefused) {
  EXPECT_EQ(fault_of({{.cron = "0 * * * *", .task = "swep"}}),
            "schedule \"0 * * * *\" of task \"swep\": there is no such task");
}

// Of an older libtask, perhaps, which let it pass.
TEST(Periodic, WrongExpressionIsRefusedWithTheNameOfItsTask) {
  EXPECT_EQ(fault_of({{.cron = "0 25 * * *", .task = "sweep"}}),
            "schedule \"0 25 * * *\" of task \"sweep\": \"25\" cannot be its hour (0 to 23)");
  EXPECT_EQ(fault_of({{.cron = "0 0 30 2 *", .task = "sweep"}}),
            "schedule \"0 0 30 2 *\" of task \"sweep\": the day never comes: \"30\" of month \"2\"");
}

}  // namespace
}  // namespace postpone::subworker

#include "subworker/housekeeper/periodic.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::Description;
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

Periodic keeping(std::vector<PeriodicDescription> periodic, Cron::Time since) {
  Periodic keeper;
  keeper.add(executable(std::move(periodic)));
  keeper.start(since);
  return keeper;
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
  auto periodic = keeping({{.cron = "30 * * * *", .task = "sweep"}}, kNoon);
  EXPECT_EQ(periodic.next_tick(), kNoon + 30min);
  EXPECT_EQ(due(periodic, kNoon + 30min - 1s), "");
  EXPECT_EQ(due(periodic, kNoon + 30min), "sweep@30");
  EXPECT_EQ(due(periodic, kNoon + 30min), "");
  EXPECT_EQ(periodic.next_tick(), kNoon + 90min);
}

TEST(Periodic, TickOfTheLastTenMinutesIsMadeUpFor) {
  auto periodic = keeping({{.cron = "0 12 * * *", .task = "sweep"}}, kNoon + 9min);
  EXPECT_EQ(due(periodic, kNoon + 9min), "sweep@0");
}

TEST(Periodic, OlderTickIsGone) {
  auto periodic = keeping({{.cron = "0 12 * * *", .task = "sweep"}}, kNoon + 11min);
  EXPECT_EQ(due(periodic, kNoon + 11min), "");
  EXPECT_EQ(periodic.next_tick(), kNoon + 24h);
}

TEST(Periodic, OfManyMissedTicksOnlyTheLastIsDeferred) {
  auto periodic = keeping({{.cron = "* * * * *", .task = "sweep"}}, kNoon);
  EXPECT_EQ(due(periodic, kNoon), "sweep@0");
  EXPECT_EQ(due(periodic, kNoon + 5min + 30s), "sweep@5");
  EXPECT_EQ(periodic.next_tick(), kNoon + 6min);
}

TEST(Periodic, SchedulesTakeTurnsOldestFirst) {
  auto periodic =
      keeping({{.cron = "5 * * * *", .task = "sweep"}, {.cron = "3 * * * *", .task = "bake"}}, kNoon);
  EXPECT_EQ(periodic.next_tick(), kNoon + 3min);
  EXPECT_EQ(due(periodic, kNoon + 5min), "bake@3 sweep@5");
}

TEST(Periodic, SameScheduleOfTwoGroupsCountsOnce) {
  Periodic periodic;
  for (int group = 0; group < 2; ++group)
    periodic.add(executable({{.cron = "0 * * * *", .task = "sweep", .id = "a"}}));
  periodic.start(kNoon);
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
  periodic.start(kNoon);
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
  periodic.start(kNoon);
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

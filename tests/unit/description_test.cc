#include "libtask/wire/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace libtask::wire {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using namespace std::chrono_literals;

json sample() {
  return json::parse(R"({
    "libtask_version": "0.1.0", "protocol_version": 1,
    "tasks": [
      {"name": "dishes.wash", "queue": "kitchen", "priority": 5, "lock": "sink", "queueing_lock": null,
       "time_limit_ms": 30000,
       "retry": {"max_attempts": 5, "wait_s": 0.5, "linear_wait_s": 1, "exponential_wait_s": 2, "on_crash": false,
                 "priority": -1, "queue": "slow", "lock": null}},
      {"name": "cache.sweep", "queue": "default", "priority": 0, "lock": null, "queueing_lock": "sweep",
       "time_limit_ms": 0, "retry": null}],
    "periodic": [{"cron": "*/5 * * * *", "task": "cache.sweep", "id": "often", "args": {"deep": true}}]
  })");
}

TEST(Description, TellsEveryOptionOfATask) {
  const Description description = parse_description(sample().dump());
  EXPECT_EQ(description.libtask_version, "0.1.0");
  EXPECT_EQ(description.protocol_version, 1);
  const TaskDescription* task = description.find("dishes.wash");
  ASSERT_NE(task, nullptr);
  EXPECT_EQ(task->queue, "kitchen");
  EXPECT_EQ(task->priority, 5);
  EXPECT_EQ(task->lock, "sink");
  EXPECT_EQ(task->queueing_lock, std::nullopt);
  EXPECT_EQ(task->time_limit, 30s);
  ASSERT_TRUE(task->retry);
  EXPECT_EQ(task->retry->max_attempts, 5);
  EXPECT_EQ(task->retry->wait, 0.5s);
  EXPECT_EQ(task->retry->linear_wait, 1s);
  EXPECT_EQ(task->retry->exponential_wait, 2s);
  EXPECT_FALSE(task->retry->on_crash);
  EXPECT_EQ(task->retry->priority, -1);
  EXPECT_EQ(task->retry->queue, "slow");
  EXPECT_EQ(task->retry->lock, std::nullopt);
}

TEST(Description, KnowsTasksWithoutRetryAndWithoutLimit) {
  const Description description = parse_description(sample().dump());
  const TaskDescription* task = description.find("cache.sweep");
  ASSERT_NE(task, nullptr);
  EXPECT_EQ(task->time_limit, 0ms);
  EXPECT_FALSE(task->retry);
  EXPECT_EQ(task->queueing_lock, "sweep");
  EXPECT_EQ(description.find("cache"), nullptr);
}

// Programs that were built with an older libtask do not say this.
TEST(Description, KnowsWhatNewerProgramsSayOfATask) {
  json text = sample();
  const TaskDescription before = *parse_description(text.dump()).find("dishes.wash");
  EXPECT_TRUE(before.aliases.empty());
  EXPECT_EQ(before.memory_limit, 0);
  EXPECT_EQ(before.concurrency_limit, 0);
  EXPECT_FALSE(before.fresh_process);
  EXPECT_EQ(before.retry->max_wait, std::nullopt);
  EXPECT_EQ(before.retry->jitter, 0);

  text["tasks"][0]["aliases"] = {"dishes.scrub", "scrub"};
  text["tasks"][0]["memory_limit_bytes"] = 1 << 20;
  text["tasks"][0]["concurrency_limit"] = 3;
  text["tasks"][0]["fresh_process"] = true;
  text["tasks"][0]["retry"]["max_wait_s"] = 90;
  text["tasks"][0]["retry"]["jitter"] = 0.25;
  const Description description = parse_description(text.dump());
  for (const char* name : {"dishes.wash", "dishes.scrub", "scrub"}) {
    const TaskDescription* task = description.find(name);
    ASSERT_NE(task, nullptr) << name;
    EXPECT_EQ(task->name, "dishes.wash");
    EXPECT_EQ(task->memory_limit, 1 << 20);
    EXPECT_EQ(task->concurrency_limit, 3);
    EXPECT_TRUE(task->fresh_process);
    EXPECT_EQ(task->retry->max_wait, 90s);
    EXPECT_EQ(task->retry->jitter, 0.25);
  }
  EXPECT_EQ(description.find("sc"), nullptr);
}

TEST(Description, TellsSchedules) {
  const Description description = parse_description(sample().dump());
  ASSERT_EQ(description.periodic.size(), 1U);
  EXPECT_EQ(description.periodic[0].cron, "*/5 * * * *");
  EXPECT_EQ(description.periodic[0].task, "cache.sweep");
  EXPECT_EQ(description.periodic[0].id, "often");
  EXPECT_EQ(description.periodic[0].args, R"({"deep":true})");
}

TEST(Description, TellsTheZoneOfASchedule) {
  json text = sample();
  text["periodic"][0]["zone"] = "Europe/Paris";
  text["periodic"][0]["missed"] = "all";
  text["periodic"][0]["missed_within_s"] = 7200;
  const auto periodic = parse_description(text.dump()).periodic.at(0);
  EXPECT_EQ(periodic.zone, "Europe/Paris");
  EXPECT_EQ(periodic.missed, Missed::all);
  EXPECT_EQ(periodic.missed_within, std::chrono::hours(2));
}

TEST(Description, OlderLibtaskMeansUtcAndTheLastMissedTick) {
  const auto periodic = parse_description(sample().dump()).periodic.at(0);
  EXPECT_EQ(periodic.zone, "UTC");
  EXPECT_EQ(periodic.missed, Missed::last);
  EXPECT_EQ(periodic.missed_within, std::chrono::hours(24));
}

TEST(Description, NewerLibtaskMaySayMore) {
  json text = sample();
  text["colour"] = "blue";
  text["tasks"][0]["retry"]["mood"] = 0.5;
  EXPECT_EQ(parse_description(text.dump()).tasks.size(), 2U);
}

TEST(Description, TextThatIsNotJsonIsRefused) {
  const auto parse = [](const char* text) { return [text] { parse_description(text); }; };
  EXPECT_THAT(
      parse(R"({"jitter": 1e999})"),
      ThrowsMessage<std::runtime_error>("the description cannot be read: number overflow parsing '1e999'"));
  EXPECT_THAT(parse("Usage: ls"),
              ThrowsMessage<std::runtime_error>("the description is not JSON (at byte 1)"));
  EXPECT_THAT(parse(""), ThrowsMessage<std::runtime_error>(HasSubstr("not JSON")));
  EXPECT_THAT(parse("[1]"),
              ThrowsMessage<std::runtime_error>("the description must be an object, and is [1]"));
}

struct Damage {
  const char* pointer;  // what is replaced
  const char* with;     // JSON; empty = removed
  const char* message;
};

class DamagedDescription : public ::testing::TestWithParam<Damage> {};

TEST_P(DamagedDescription, IsRefusedWithTheKeyThatIsWrong) {
  json text = sample();
  const json::json_pointer pointer(GetParam().pointer);
  if (std::string(GetParam().with).empty()) {
    text[pointer.parent_pointer()].erase(pointer.back());
  } else {
    text[pointer] = json::parse(GetParam().with);
  }
  EXPECT_THAT([&] { parse_description(text.dump()); }, ThrowsMessage<std::runtime_error>(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, DamagedDescription,
    ::testing::Values(
        Damage{"/libtask_version", "", "libtask_version is missing"},
        Damage{"/protocol_version", "\"1\"", "protocol_version must be an integer of 32 bits, and is \"1\""},
        Damage{"/tasks", "{}", "tasks must be an array, and is {}"},
        Damage{"/tasks/0/name", "3", "tasks[0].name must be a string, and is 3"},
        Damage{"/tasks/1", "null", "tasks[1] must be an object, and is null"},
        Damage{"/tasks/1/priority", "2147483648",
               "tasks[1].priority must be an integer of 32 bits, and is 2147483648"},
        Damage{"/tasks/1/priority", "1.5", "tasks[1].priority must be an integer of 32 bits, and is 1.5"},
        Damage{"/tasks/0/time_limit_ms", "-1",
               "tasks[0].time_limit_ms must be a number of milliseconds, not negative, and is -1"},
        Damage{"/tasks/0/retry", "true", "tasks[0].retry must be an object, and is true"},
        Damage{"/tasks/0/retry/wait_s", "-0.5",
               "tasks[0].retry.wait_s must be a number of seconds, not negative, and is -0.5"},
        Damage{"/tasks/0/retry/on_crash", "1", "tasks[0].retry.on_crash must be true or false, and is 1"},
        Damage{"/periodic/0/args", "[]", "periodic[0].args must be an object, and is []"},
        Damage{"/periodic/0/zone", "7", "periodic[0].zone must be a string, and is 7"},
        Damage{"/periodic/0/missed", "\"some\"",
               "periodic[0].missed must be skip, last or all, and is \"some\""},
        Damage{"/periodic/0/missed_within_s", "-1",
               "periodic[0].missed_within_s must be a number of seconds, not negative, and is -1"},
        Damage{"/periodic/0/cron", "", "periodic[0].cron is missing"}));

}  // namespace
}  // namespace libtask::wire

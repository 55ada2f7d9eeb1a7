// What the jobs of a task process are told beside their arguments, and what they tell besides how they ended.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "libtask/wire/frame.h"
#include "tests/process/channel_fixture.h"

namespace libtask {
namespace {

using wire::ResultStatus;

// JSON without the spaces between its parts, which languages set in their own ways.
std::string compact(std::string json) {
  std::erase(json, ' ');
  return json;
}

TEST_P(Channel, ProgressComesBeforeTheResult) {
  Served served(channel_tasks());
  served.welcome();
  served.start("channel.count", R"({"last": 1000})");
  const auto first = served.receive_a<wire::Progress>();
  EXPECT_EQ(first.job_id, served.last_job);
  EXPECT_EQ(first.done, 1U);
  EXPECT_EQ(first.total, 1000U);
}

TEST_P(Channel, AValueComesBeforeTheResult) {
  Served served(channel_tasks());
  served.welcome();
  served.send_frame(
      wire::Run{.job_id = 5, .task = "channel.give", .args = "{}", .meta = R"({"tenant": "ann"})"});
  EXPECT_EQ(served.receive_a<wire::Progress>().note, "half");
  const auto value = served.receive_a<wire::Value>();
  EXPECT_EQ(value.job_id, 5);
  EXPECT_EQ(compact(value.json), R"({"meta":{"tenant":"ann"}})");
  EXPECT_EQ(served.receive_a<wire::Result>().status, ResultStatus::succeeded);
}

TEST_P(Channel, EachLineThatIsLoggedComesBeforeTheResult) {
  Served served(channel_tasks());
  served.welcome();
  served.start("channel.log");
  for (int i = 0; i < 3; ++i) {
    const auto line = served.receive_a<wire::Log>();
    EXPECT_EQ(line.job_id, served.last_job);
    EXPECT_EQ(line.level, wire::Log::Level::error);
    EXPECT_EQ(line.text, "line");
    EXPECT_EQ(compact(line.fields), "{\"number\":" + std::to_string(i) + "}");
  }
  EXPECT_EQ(served.receive_a<wire::Result>().status, ResultStatus::succeeded);
}

TEST_P(Channel, AJobKnowsWhenItWasToStart) {
  Served served(channel_tasks());
  served.welcome();
  served.send_frame(
      wire::Run{.job_id = 5, .task = "channel.when", .args = "{}", .scheduled_at_us = 1'700'000'000'500'000});
  EXPECT_EQ(served.receive_a<wire::Value>().json, "1700000000.5");
  EXPECT_EQ(served.receive_a<wire::Result>().job_id, 5);
  served.start("channel.when");
  EXPECT_EQ(served.receive_a<wire::Value>().json, "null") << "it was ready at once";
}

TEST_P(Channel, EachDeferredJobHasTheMetaThatItWasGiven) {
  Served served(channel_tasks());
  served.welcome();
  const wire::Result result = served.run("channel.inherit");
  ASSERT_EQ(result.defers.size(), 3U) << result.message;
  EXPECT_EQ(result.defers[0].meta, "") << "that of its job";
  EXPECT_EQ(compact(result.defers[1].meta), R"({"tenant":"bob"})");
  EXPECT_EQ(result.defers[2].meta, "{}") << "none";
}

TEST_P(Channel, ARetryComesWithWhatItChanges) {
  Served served(channel_tasks());
  served.welcome();
  const wire::Result result = served.run("channel.again");
  EXPECT_EQ(result.status, ResultStatus::exception);
  EXPECT_EQ(result.message, "busy");
  EXPECT_EQ(result.retry_in_us, 2'000'000);
  EXPECT_FALSE(result.retry_counts);
  EXPECT_EQ(result.retry_priority, -7);
  EXPECT_EQ(result.retry_queue, "later");
  EXPECT_EQ(result.retry_lock, "narrow");
}

// Of what came later it makes the best.
TEST(ChannelOfPython, InTheFirstVersionTellsWhatThatKnows) {
  Served served(channel_tasks_in(Language::python), Served::Ledger::absent);
  served.welcome();
  EXPECT_EQ(served.run("channel.again").retry_in_us, 2'000'000);
  EXPECT_EQ(served.run("channel.inherit").defers.size(), 3U);
  EXPECT_EQ(served.run("channel.log").status, ResultStatus::succeeded);
  EXPECT_EQ(served.run("channel.give").status, ResultStatus::succeeded);
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
  EXPECT_EQ(
      compact(served.errors),
      compact("error: line {\"number\": 0}\nerror: line {\"number\": 1}\nerror: line {\"number\": 2}\n"
              "postpone_tasks: the result of job 4 is lost: the protocol has results from version 3 on\n"));
}

}  // namespace
}  // namespace libtask

// What an App is told, what it makes of mistakes, and how it describes itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/json.h>

#include <string>
#include <vector>

#include "libtask/src/registry.h"
#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"

namespace libtask {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

struct Said {
  int status;
  std::string out;
  std::string err;
};

Said run(App& app, std::vector<std::string> arguments) {
  std::string program = "/opt/kitchen/dishes";
  std::vector<char*> argv{program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int status = app.run(static_cast<int>(argv.size()) - 1, argv.data());
  std::string out = ::testing::internal::GetCapturedStdout();
  return {status, std::move(out), ::testing::internal::GetCapturedStderr()};
}

void nothing(Context&) {}

TEST(Registration, DescribeTellsWhatWasRegistered) {
  App app;
  app.task("dishes.wash", [](const std::string&, int) {}, {"dish", "times"})
      .queue("kitchen")
      .priority(5)
      .lock("sink")
      .queueing_lock("once")
      .time_limit(30s)
      .retry({.max_attempts = 5,
              .wait = 1s,
              .linear_wait = 500ms,
              .exponential_wait = 2s,
              .max_wait = 90s,
              .jitter = 0.25,
              .on_crash = false,
              .priority = 1,
              .queue = "slow",
              .lock = "other"});
  app.task("cache.sweep", nothing);
  app.periodic("*/5 * * * *", "cache.sweep");
  app.periodic("0 3 * * *", "cache.sweep",
               {.args = {{"deep", true}},
                .id = "nightly",
                .zone = "Europe/Paris",
                .missed = Missed::all,
                .missed_within = 2h});
  const Said said = run(app, {"--describe"});
  EXPECT_EQ(said.status, 0);
  EXPECT_EQ(said.err, "");

  const wire::Description description = wire::parse_description(said.out);
  EXPECT_EQ(description.libtask_version, POSTPONE_VERSION);
  EXPECT_EQ(description.protocol_version, wire::kProtocolVersion);
  ASSERT_EQ(description.tasks.size(), 2U);
  const wire::TaskDescription& task = description.tasks[0];
  EXPECT_EQ(task.name, "dishes.wash");
  EXPECT_EQ(task.queue, "kitchen");
  EXPECT_EQ(task.priority, 5);
  EXPECT_EQ(task.lock, "sink");
  EXPECT_EQ(task.queueing_lock, "once");
  EXPECT_EQ(task.time_limit, 30s);
  ASSERT_TRUE(task.retry);
  EXPECT_EQ(task.retry->max_attempts, 5);
  EXPECT_EQ(task.retry->wait, 1s);
  EXPECT_EQ(task.retry->linear_wait, 0.5s);
  EXPECT_EQ(task.retry->exponential_wait, 2s);
  EXPECT_EQ(task.retry->max_wait, 90s);
  EXPECT_EQ(task.retry->jitter, 0.25);
  EXPECT_FALSE(task.retry->on_crash);
  EXPECT_EQ(task.retry->priority, 1);
  EXPECT_EQ(task.retry->queue, "slow");
  EXPECT_EQ(task.retry->lock, "other");
  EXPECT_EQ(description.tasks[1].queue, "default");
  EXPECT_FALSE(description.tasks[1].retry);
  ASSERT_EQ(description.periodic.size(), 2U);
  EXPECT_EQ(description.periodic[0].cron, "*/5 * * * *");
  EXPECT_EQ(description.periodic[1].id, "nightly");
  EXPECT_EQ(description.periodic[1].args, R"({"deep":true})");
  EXPECT_EQ(description.periodic[0].zone, "UTC");
  EXPECT_EQ(description.periodic[0].missed, wire::Missed::last);
  EXPECT_EQ(description.periodic[1].zone, "Europe/Paris");
  EXPECT_EQ(description.periodic[1].missed, wire::Missed::all);
  EXPECT_EQ(description.periodic[1].missed_within, 2h);
}

TEST(Registration, EveryMistakeIsReportedOnALineOfItsOwn) {
  App app;
  app.task("a", nothing);
  app.task("a", nothing).queue("");
  app.task("", nothing);
  app.task("b", nothing).time_limit(0s).retry({.max_attempts = -1, .wait = -1s, .queue = ""});
  app.task("c", [](int, int) {}, {"x", "x"});
  app.task("d", nothing).lock("caf\xe9").retry({.lock = std::string(2001, 'l')});
  app.task(std::string(129, 'e'), nothing);
  app.periodic("* * * *", "a");
  app.periodic("0 0 31 4,6 *", "b");
  app.periodic("0 0 * * *", "z");
  app.periodic("0 1 * * *", "a");
  app.periodic("0 2 * * *", "a", {.id = "zone", .zone = "/etc/localtime"});
  app.periodic("0 2 * * *", "a", {.id = "within", .missed_within = -1s});
  const Said said = run(app, {"--describe"});
  EXPECT_EQ(said.status, 2);
  EXPECT_EQ(said.out, "");
  EXPECT_EQ(
      said.err,
      "dishes: task \"a\": its queue is empty\n"
      "dishes: task \"\": its name is empty\n"
      "dishes: task \"b\": its time limit is not above 0\n"
      "dishes: task \"b\": its max_attempts is negative\n"
      "dishes: task \"b\": its wait is not a time span from 0 up\n"
      "dishes: task \"b\": the queue of its retries is empty\n"
      "dishes: task \"c\": it has two parameters called \"x\"\n"
      "dishes: task \"d\": its lock is not UTF-8 or has a NUL\n"
      "dishes: task \"d\": the lock of its retries is longer than 2000 bytes\n"
      "dishes: task \"" +
          std::string(129, 'e') +
          "\": its name is longer than 128 bytes\n"
          "dishes: schedule \"* * * *\" of task \"a\": it needs five fields (or six, seconds last), not 4\n"
          "dishes: schedule \"0 0 31 4,6 *\" of task \"b\": the day never comes: \"31\" of month \"4,6\"\n"
          "dishes: schedule \"0 0 * * *\" of task \"z\": no such task is registered\n"
          "dishes: schedule \"0 2 * * *\" of task \"a\": \"/etc/localtime\" cannot be its time zone; write "
          "one such as "
          "\"Europe/Paris\"\n"
          "dishes: schedule \"0 2 * * *\" of task \"a\": its missed_within is negative\n"
          "dishes: task \"a\": it is registered more than once\n"
          "dishes: schedule \"0 1 * * *\" of task \"a\": another schedule of this task has the same id; give "
          "each an id of its own\n");
}

TEST(Registration, MistakesInNamespacesAliasesAndLimitsAreReportedToo) {
  App app;
  app.task("a", nothing)
      .alias("b")
      .memory_limit(0)
      .concurrency_limit(0)
      .retry({.max_wait = -1s, .jitter = 1.5});
  app.task("b", nothing).alias("a").alias("");
  app.in("").task("c", nothing);
  app.in("dishes").task("", nothing);
  app.periodic("@daily", "b2");
  app.task("d", nothing).alias("b2");
  app.around({});
  app.set_up({});
  EXPECT_EQ(run(app, {"--list"}).err,
            "dishes: task \"a\": its memory limit is not above 0\n"
            "dishes: task \"a\": its concurrency limit is not above 0\n"
            "dishes: task \"a\": its max_wait is not a time span from 0 up\n"
            "dishes: task \"a\": its jitter is not from 0 to 1\n"
            "dishes: task \"b\": its alias is empty\n"
            "dishes: task \"dishes.\": its name is empty but for the namespace\n"
            "dishes: schedule \"@daily\" of task \"b2\": this is an alias; use the task's name\n"
            "dishes: task \"a\": its alias \"b\" is the name of a task, or an alias, already\n"
            "dishes: task \"b\": its alias \"a\" is the name of a task, or an alias, already\n"
            "dishes: the App: a middleware is an empty function\n"
            "dishes: namespace \".\": its name is empty\n"
            "dishes: the App: a set_up or tear_down is an empty function\n");
}

void register_dishes(Namespace dishes) {
  dishes.task("wash", nothing)
      .alias("wash_dishes")
      .memory_limit(1 << 20)
      .concurrency_limit(2)
      .fresh_process();
  dishes.in("glass").task("polish", nothing);
  dishes.periodic("@hourly", "wash");
}

TEST(Registration, NamespacesPutTheirNamesBeforeThoseOfTheirTasks) {
  App app;
  register_dishes(app.in("dishes"));
  app.task("cache.sweep", nothing);
  EXPECT_EQ(run(app, {"--list"}).out, "dishes.wash\ndishes.glass.polish\ncache.sweep\n");
  const wire::Description description = wire::parse_description(run(app, {"--describe"}).out);
  const wire::TaskDescription* task = description.find("wash_dishes");
  ASSERT_NE(task, nullptr);
  EXPECT_EQ(task->name, "dishes.wash");
  EXPECT_EQ(task->memory_limit, 1 << 20);
  EXPECT_EQ(task->concurrency_limit, 2);
  EXPECT_EQ(description.find("cache.sweep")->concurrency_limit, 0) << "any number";
  EXPECT_TRUE(task->fresh_process);
  EXPECT_FALSE(description.find("cache.sweep")->fresh_process);
  EXPECT_EQ(description.periodic.at(0).task, "dishes.wash");
}

TEST(Registration, AnAliasRunsItsTask) {
  App app;
  app.task("dishes.wash", [](Context& job) { EXPECT_EQ(job.task(), "wash_dishes"); }).alias("wash_dishes");
  EXPECT_EQ(run(app, {"run", "wash_dishes"}).status, 0);
  EXPECT_THAT(run(app, {"run", "dishes"}).err, HasSubstr("no task is called"));
}

TEST(Registration, SetUpComesBeforeTheJobAndTearDownAfterItInReverse) {
  App app;
  std::string story;
  app.set_up([&] { story += "up "; });
  app.in("dishes").set_up([&] { story += "up2 "; });
  app.tear_down([&] { story += "down "; });
  app.tear_down([&] { story += "down2 "; });
  app.task("a", [&] { story += "job "; });
  run(app, {"--describe"});
  run(app, {"--list"});
  EXPECT_EQ(story, "");
  EXPECT_EQ(run(app, {"run", "a"}).status, 0);
  EXPECT_EQ(story, "up up2 job down2 down ");
}

TEST(Registration, WhereSetUpFailsNoJobRuns) {
  App app;
  app.set_up([] { throw std::runtime_error("no water"); });
  bool ran = false;
  app.task("a", [&] { ran = true; });
  const Said said = run(app, {"run", "a"});
  EXPECT_EQ(said.status, 1);
  EXPECT_EQ(said.err, "libtask: the set-up of the task process has failed: std::runtime_error: no water\n");
  EXPECT_FALSE(ran);
}

TEST(Registration, WhereTearDownFailsTheRunHas) {
  App app;
  app.tear_down([] { throw 42; });
  app.task("a", nothing);
  const Said said = run(app, {"run", "a"});
  EXPECT_EQ(said.status, 1);
  EXPECT_THAT(said.err, HasSubstr("the tear-down of the task process has failed: int\n"));
}

TEST(Registration, AppWithoutTasksIsAMistake) {
  App app;
  const Said said = run(app, {"--list"});
  EXPECT_EQ(said.status, 2);
  EXPECT_EQ(said.err, "dishes: no task is registered\n");
}

TEST(Registration, EmptyFunctionIsAMistake) {
  App app;
  app.task("a", Handler());
  EXPECT_EQ(run(app, {"run", "a"}).err, "dishes: task \"a\": its handler is an empty function\n");
}

TEST(Registration, ListTellsTasksAndTheirArguments) {
  App app;
  app.task("dishes.wash", [](const std::string&, int) {}, {"dish", "times"});
  app.task("cache.sweep", nothing);
  EXPECT_EQ(run(app, {"--list"}).out, "dishes.wash dish times\ncache.sweep\n");
}

TEST(Registration, OfManyTasksTheNearestAreTold) {
  detail::Registry registry;
  EXPECT_EQ(registry.nearest("wash"), "it has none");
  for (const char* name : {"dry", "sort", "wish"}) registry.tasks.push_back({.name = name, .handler = {}});
  EXPECT_EQ(registry.nearest("wash"), "it has: dry, sort, wish");
  for (const char* name : {"washes", "ash"}) registry.tasks.push_back({.name = name, .handler = {}});
  EXPECT_EQ(registry.nearest("wash"), "of its 5 tasks these are the nearest: wish, ash, washes");
}

TEST(CommandLine, WithoutSenseGetsTheHelpOnStderr) {
  App app;
  app.task("a", nothing);
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{}, {"--list", "x"}, {"walk"}}) {
    const Said said = run(app, arguments);
    EXPECT_EQ(said.status, 2);
    EXPECT_EQ(said.out, "");
    EXPECT_THAT(said.err, HasSubstr("dishes run TASK [JSON]"));
  }
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run"}, {"run", "a", "{}", "more"}}) {
    const Said said = run(app, arguments);
    EXPECT_EQ(said.status, 2);
    EXPECT_EQ(said.out, "");
    EXPECT_EQ(said.err,
              "dishes: run takes the name of a task, and its arguments as one JSON text; see --help\n");
  }
}

TEST(CommandLine, HelpThatWasAskedForGoesToStdout) {
  App app;
  app.task("a", nothing);
  const Said said = run(app, {"--help"});
  EXPECT_EQ(said.status, 0);
  EXPECT_THAT(said.out, HasSubstr("dishes --describe"));
  EXPECT_EQ(said.err, "");
}

}  // namespace
}  // namespace libtask

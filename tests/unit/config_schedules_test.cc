// [[schedule]] and [retention].
#include <gmock/gmock.h>

#include <string>

#include "config/reload.h"
#include "config_fixture.h"

namespace postpone::config {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SchedulesOfAFile : public ConfigTest {
 protected:
  Config read(const std::string& text) const {
    const ParseResult result = parse_text("[[group]]\nname = \"kitchen\"\nexecutable = \"tasks\"\n" + text);
    EXPECT_THAT(lines(result), IsEmpty());
    return result.config.value_or(Config());
  }
  std::string arguments_of(const std::string& table) const {
    const auto schedules =
        read("[[schedule]]\ntask = \"t\"\ncron = \"@daily\"\narguments = " + table + "\n").schedules;
    return schedules.empty() ? "" : schedules.front().arguments;
  }
  std::vector<std::string> problems_of_schedule(const std::string& keys) const {
    return problems_of("[[schedule]]\n" + keys);
  }
};

TEST_F(SchedulesOfAFile, SayWhenWhatIsDeferred) {
  const Config config = read(
      "[[schedule]]\ntask = \"report.build\"\ncron = \"0 6 * * mon-fri\"\nid = \"weekdays\"\nzone = \"UTC\"\n"
      "arguments = { kind = \"daily\" }\nmissed = \"all\"\nmissed_within = \"30d\"\nqueue = \"reports\"\n"
      "priority = -5\nlock = \"report\"\nqueueing_lock = \"report\"\n"
      "[[schedule]]\ntask = \"report.build\"\ncron = \"@monthly\"\n");
  ASSERT_EQ(config.schedules.size(), 2U);
  const Schedule& first = config.schedules[0];
  EXPECT_EQ(first.cron, "0 6 * * mon-fri");
  EXPECT_EQ(first.id, "weekdays");
  EXPECT_EQ(first.arguments, R"({"kind":"daily"})");
  EXPECT_EQ(first.missed, libtask::wire::Missed::all);
  EXPECT_EQ(first.missed_within, 24h * 30);
  EXPECT_EQ(first.queue, "reports");
  EXPECT_EQ(first.priority, -5);
  EXPECT_EQ(first.lock, "report");
  EXPECT_EQ(config.schedules[1].missed_within, 24h);
  EXPECT_EQ(config.schedules[1].priority, std::nullopt);
}

TEST_F(SchedulesOfAFile, ArgumentsBecomeJson) {
  EXPECT_EQ(arguments_of("{}"), "{}");
  EXPECT_EQ(arguments_of(R"({ a = 1, b = -2.5, c = true, d = ["x", [1, 2]], e = { f = "g" } })"),
            R"({"a":1,"b":-2.5,"c":true,"d":["x",[1,2]],"e":{"f":"g"}})");
  EXPECT_EQ(arguments_of(R"({ text = "a\"b\\c\nd\u0001é" })"), "{\"text\":\"a\\\"b\\\\c\\u000ad\\u0001é\"}");
  EXPECT_EQ(arguments_of("{ third = 0.1, large = 1e300 }"), R"({"large":1e+300,"third":0.1})");
}

TEST_F(SchedulesOfAFile, ArgumentsThatJsonHasNotAreNamedWithTheirPlace) {
  const std::string begin = "task = \"t\"\ncron = \"@daily\"\n";
  EXPECT_THAT(
      problems_of_schedule(begin + "arguments = { day = 2024-05-01 }\n"),
      ElementsAre("7:21: \"arguments\" in [[schedule]]: JSON has no such value, write it as a string"));
  EXPECT_THAT(problems_of_schedule(begin + "arguments = { x = nan }\n"),
              ElementsAre(HasSubstr("JSON has no such value")));
  EXPECT_THAT(problems_of_schedule(begin + "arguments = { x = \"a\\u0000\" }\n"),
              ElementsAre(HasSubstr("must not contain a NUL character")));
  EXPECT_THAT(problems_of_schedule(begin + "arguments = \"{}\"\n"),
              ElementsAre(HasSubstr("expected a table such as { dish = \"plate\", times = 2 }")));
}

TEST_F(SchedulesOfAFile, MistakesAreNamedWithTheirPlace) {
  EXPECT_THAT(problems_of_schedule(""), ElementsAre("4:1: missing key \"task\" in [[schedule]]",
                                                    "4:1: missing key \"cron\" in [[schedule]]"));
  EXPECT_THAT(
      problems_of_schedule("task = \"t\"\ncron = \"0 25 * * *\"\n"),
      ElementsAre("6:8: \"cron\" in [[schedule]]: \"0 25 * * *\": \"25\" cannot be its hour (0 to 23)"));
  EXPECT_THAT(problems_of_schedule("task = \"t\"\ncron = \"@daily\"\nzone = \"Europe/Pariss\"\n"),
              ElementsAre(HasSubstr("7:8: \"zone\" in [[schedule]]: ")));
  EXPECT_THAT(
      problems_of_schedule("task = \"t\"\ncron = \"@daily\"\nmissed = \"none\"\n"),
      ElementsAre("7:10: \"missed\" in [[schedule]]: expected one of skip, last, all, got string \"none\""));
  EXPECT_THAT(problems_of_schedule("task = \"\"\ncron = \"@daily\"\n"),
              ElementsAre(HasSubstr("must not be empty")));
  EXPECT_THAT(problems_of_schedule("task = \"t\"\ncron = \"@daily\"\npriority = 3000000000\n"),
              ElementsAre(HasSubstr("is impossible")));
  EXPECT_THAT(problems_of("[schedule]\ntask = \"t\"\n"),
              ElementsAre("4:1: expected [[schedule]], got a table, use double brackets"));
}

TEST_F(SchedulesOfAFile, TwoOfATaskHaveDifferentIds) {
  const std::string one = "[[schedule]]\ntask = \"t\"\ncron = \"@daily\"\n";
  EXPECT_THAT(problems_of(one + one),
              ElementsAre("7:1: this [[schedule]] is the same one as in line 4, give it another \"id\""));
}

TEST_F(SchedulesOfAFile, AKeyThatAGroupCallsOtherwiseIsNotSentToASchedule) {
  EXPECT_THAT(problems_of("queue = \"q\"\n"),
              ElementsAre("4:1: unknown key \"queue\" in [[group]], did you mean \"queues\"?"));
}

TEST_F(SchedulesOfAFile, AreForTheHousekeeper) {
  const Config one = read("[[schedule]]\ntask = \"t\"\ncron = \"@daily\"\n");
  for (const KeyRule& rule : changed_keys(one, read(""))) EXPECT_EQ(rule.reload, Reload::housekeeper);
  EXPECT_FALSE(changed_keys(one, read("")).empty());
  EXPECT_THAT(changed_keys(one, one), IsEmpty());
}

TEST_F(SchedulesOfAFile, RetentionIsForAllQueuesAndForSome) {
  const Config config = read(
      "[retention]\nsucceeded = \"7d\"\nfailed = \"400d\"\n[[retention.queue]]\nname = \"mail\"\nsucceeded = "
      "\"1h\"\n"
      "[[retention.queue]]\nname = \"audit\"\nfailed = \"0s\"\n");
  EXPECT_EQ(config.retention.succeeded, 24h * 7);
  EXPECT_EQ(config.retention.failed, 24h * 400);
  ASSERT_EQ(config.retention.queues.size(), 2U);
  EXPECT_EQ(config.retention.queues[0].name, "mail");
  EXPECT_EQ(config.retention.queues[0].succeeded, 1h);
  EXPECT_EQ(config.retention.queues[0].failed, std::nullopt);
  EXPECT_EQ(config.retention.queues[1].failed, 0ms);
}

TEST_F(SchedulesOfAFile, MistakesOfRetentionAreNamedWithTheirPlace) {
  EXPECT_THAT(problems_of("[retention]\nsucceded = \"7d\"\n"),
              ElementsAre("5:1: unknown key \"succeded\" in [retention], did you mean \"succeeded\"?"));
  EXPECT_THAT(problems_of("[[retention.queue]]\nsucceeded = \"1h\"\n"),
              ElementsAre("4:1: missing key \"name\" in [[retention.queue]]"));
  EXPECT_THAT(problems_of("[retention]\nfailed = \"200000d\"\n"),
              ElementsAre(HasSubstr("is impossible, must be from \"0ms\" to \"36525d\"")));
  const std::string mail = "[[retention.queue]]\nname = \"mail\"\n";
  EXPECT_THAT(
      problems_of(mail + mail),
      ElementsAre("7:8: this [[retention.queue]] is the same one as in line 4, give it another \"name\""));
  EXPECT_THAT(problems_of("[retention]\nqueue = 7\n"),
              ElementsAre("5:9: expected [[retention.queue]], got an integer"));
  EXPECT_THAT(problems_of("[\"retention.queue\"]\nname = \"q\"\n"),
              ElementsAre(HasSubstr("unknown section")));
}

}  // namespace
}  // namespace postpone::config

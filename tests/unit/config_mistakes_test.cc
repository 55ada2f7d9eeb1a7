#include "config/config.h"

#include <gmock/gmock.h>

#include <limits>

#include "config/nearest.h"
#include "config_fixture.h"

namespace postpone::config {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_F(ConfigTest, SuggestsTheNearestKey) {
  EXPECT_THAT(problems_of("  coutn = 3\n"),
              ElementsAre("4:3: unknown key \"coutn\" in [[group]], did you mean \"count\"?"));
}

TEST_F(ConfigTest, ListsTheKeysWhenNoneIsNear) {
  EXPECT_THAT(
      problems_of("[log]\nfrobnicate = 3\n"),
      ElementsAre("5:1: unknown key \"frobnicate\" in [log], valid keys are level, levels, format, file"));
}

TEST_F(ConfigTest, TellsWhereAKeyBelongs) {
  EXPECT_THAT(problems_of("polling_interval = \"1s\"\n"),
              ElementsAre("4:1: unknown key \"polling_interval\" in [[group]], it belongs in [supervisor]"));
  EXPECT_THAT(problems_of("[supervisor]\nmax_stalled = 3\n"),
              ElementsAre("5:1: unknown key \"max_stalled\" in [supervisor], it belongs in [stalled]"));
  EXPECT_THAT(lines(parse_text("listen = false\n[[group]]\nname = \"a\"\nexecutable = \"tasks\"\n")),
              ElementsAre("1:1: key \"listen\" stands outside of a section, it belongs in [database]"));
}

TEST_F(ConfigTest, NamesUnknownSections) {
  EXPECT_THAT(problems_of("[superviser]\n"),
              ElementsAre("4:2: unknown section \"superviser\", did you mean [supervisor]?"));
  EXPECT_THAT(problems_of("[[groups]]\n"),
              ElementsAre("4:3: unknown section \"groups\", did you mean [[group]]?"));
  EXPECT_THAT(
      problems_of("[frobnicate]\n"),
      ElementsAre("4:2: unknown section \"frobnicate\", valid sections are [database], [supervisor], "
                  "[stalled], [retention], [[retention.queue]], [log], [status], [[group]], [[schedule]]"));
}

TEST_F(ConfigTest, SaysWhatTypeItExpected) {
  EXPECT_THAT(
      problems_of("time_limit = 30\n"),
      ElementsAre("4:14: \"time_limit\" in [[group]]: expected a duration such as \"30s\" (units ms, s, "
                  "m, h, d), got integer 30"));
  EXPECT_THAT(problems_of("count = \"4\"\n"),
              ElementsAre("4:9: \"count\" in [[group]]: expected an integer, got string \"4\""));
  EXPECT_THAT(problems_of("count = 4.0\n"), ElementsAre(HasSubstr("got a floating-point number")));
  EXPECT_THAT(problems_of("fresh_process_per_job = 1\n"),
              ElementsAre(HasSubstr("expected true or false, got integer 1")));
  EXPECT_THAT(problems_of("max_rss = \"512M\"\n"),
              ElementsAre(HasSubstr("expected a size such as \"512MiB\"")));
  EXPECT_THAT(problems_of("queues = \"kitchen\"\n"),
              ElementsAre(HasSubstr("expected an array of strings such as [\"a\", \"b\"], got a string")));
  EXPECT_THAT(problems_of("queues = [\"a\",\n  7]\n"),
              ElementsAre("5:3: \"queues\" in [[group]]: expected a string in quotes, got integer 7"));
  EXPECT_THAT(problems_of("max_age = 2024-01-01\n"), ElementsAre(HasSubstr("got a date or time")));
  EXPECT_THAT(problems_of("environment = \"A=B\"\n"), ElementsAre(HasSubstr("expected a table such as")));
}

TEST_F(ConfigTest, SuggestsTheNearestChoice) {
  EXPECT_THAT(
      problems_of("delete_jobs = \"succesful\"\n"),
      ElementsAre("4:15: \"delete_jobs\" in [[group]]: expected one of never, successful, always, got "
                  "string \"succesful\", did you mean \"successful\"?"));
  EXPECT_THAT(problems_of("[stalled]\naction = \"retyr\"\n"),
              ElementsAre("5:10: \"action\" in [stalled]: expected one of retry, fail, report, got string "
                          "\"retyr\", did you mean \"retry\"?"));
  EXPECT_THAT(problems_of("[log]\nlevel = 3\n"),
              ElementsAre(HasSubstr("expected one of trace, debug, info, warning, error, got integer 3")));
}

TEST_F(ConfigTest, KnowsTheComponentsOfTheLog) {
  EXPECT_THAT(problems_of("[log.levels]\njobs = \"debug\"\n"),
              ElementsAre("5:1: \"jobs\" in [log.levels]: is no component, did you mean \"job\"?"));
  EXPECT_THAT(problems_of("[log.levels]\nkitchen = \"debug\"\n"),
              ElementsAre("5:1: \"kitchen\" in [log.levels]: is no component, components are supervisor, "
                          "subworker, housekeeper, database, job, task"));
  EXPECT_THAT(problems_of("[log.levels]\njob = \"warn\"\n"),
              ElementsAre(StartsWith("5:7: \"job\" in [log.levels]: expected one of trace, debug, info")));
  EXPECT_THAT(
      problems_of("[log]\nlevels = \"debug\"\n"),
      ElementsAre("5:10: \"levels\" in [log]: expected a table such as { database = \"debug\" }, got a "
                  "string"));
}

TEST_F(ConfigTest, RefusesWhatCannotBe) {
  EXPECT_THAT(problems_of("count = 0\n"),
              ElementsAre("4:9: \"count\" in [[group]]: 0 is impossible, must be from 1 to 512"));
  EXPECT_THAT(problems_of("count = 513\n"), ElementsAre(HasSubstr("513 is impossible")));
  EXPECT_THAT(problems_of("count = -9223372036854775808\n"), ElementsAre(HasSubstr("is impossible")));
  EXPECT_THAT(problems_of("max_rss = -1\n"), ElementsAre(HasSubstr("integer -1 is impossible")));
  EXPECT_THAT(problems_of("memory_limit = -1\n"), ElementsAre(HasSubstr("integer -1 is impossible")));
  EXPECT_THAT(problems_of("max_output = 0\n"), ElementsAre(HasSubstr("integer 0 is impossible")));
  EXPECT_THAT(problems_of("time_limit = \"-1s\"\n"), ElementsAre(HasSubstr("expected a duration")));
  EXPECT_THAT(problems_of("[database]\npool_size = 1025\n"), ElementsAre(HasSubstr("from 0 to 1024")));
  EXPECT_THAT(
      problems_of("[supervisor]\nstart_deadline = \"0s\"\n"),
      ElementsAre("5:18: \"start_deadline\" in [supervisor]: \"0s\" is impossible, must be from \"1ms\" to "
                  "\"24d\""));
  EXPECT_THAT(problems_of("[supervisor]\nstart_deadline = \"25d\"\n"), ElementsAre(HasSubstr("impossible")));
  EXPECT_THAT(problems_of("arguments = [\"a\\u0000b\"]\n"), ElementsAre(HasSubstr("NUL")));
}

TEST_F(ConfigTest, RefusesValuesThatContradictEachOther) {
  EXPECT_THAT(problems_of("[supervisor]\nheartbeat_interval = \"15s\"\n"),
              ElementsAre("5:22: \"stalled_after\" in [supervisor] (30s) must be more than twice "
                          "\"heartbeat_interval\" (15s), or one late heartbeat is taken for a death"));
  EXPECT_THAT(problems_of("[supervisor]\nfence_after = \"30s\"\n"),
              ElementsAre(StartsWith("5:15: \"fence_after\" in [supervisor] (30s) must lie between")));
  EXPECT_THAT(
      problems_of("[supervisor]\nrespawn_backoff = \"1m\"\n"),
      ElementsAre(StartsWith("5:19: \"respawn_backoff_max\" in [supervisor] (30s) must not be less")));
  EXPECT_THAT(problems_of("max_jobs = 5\nmax_jobs_jitter = 5\n"),
              ElementsAre("5:19: \"max_jobs_jitter\" in [[group]] (5) must be less than \"max_jobs\" (5)"));
  EXPECT_THAT(problems_of("max_jobs_jitter = 5\n"), ElementsAre(HasSubstr("less than \"max_jobs\" (0)")));
  EXPECT_THAT(problems_of("memory_limit = 4096\nmax_rss = 4096\n"),
              ElementsAre(StartsWith("4:16: \"memory_limit\" in [[group]] (4096 bytes) must be more than "
                                     "\"max_rss\" (4096 bytes)")));
  EXPECT_THAT(problems_of("memory_limit = 4096\n"), IsEmpty());
}

TEST_F(ConfigTest, CountsAllSubworkers) {
  EXPECT_THAT(problems_of("count = 512\n[[group]]\nname = \"b\"\nexecutable = \"tasks\"\ncount = 512\n"),
              IsEmpty());
  EXPECT_THAT(problems_of("count = 512\n[[group]]\nname = \"b\"\nexecutable = \"tasks\"\ncount = 512\n"
                          "[[group]]\nname = \"c\"\nexecutable = \"tasks\"\n"),
              ElementsAre("9:1: the groups so far ask for 1025 sub-workers, a supervisor has at most 1024"));
}

TEST_F(ConfigTest, RefusesASecondGroupOfTheSameName) {
  EXPECT_THAT(
      problems_of("[[group]]\nexecutable = \"tasks\"\nname = \"kitchen\"\n"),
      ElementsAre("6:8: \"name\" in [[group]]: \"kitchen\" is already the name of the group in line 2"));
}

TEST_F(ConfigTest, RefusesNamesThatWouldGarbleALogLine) {
  for (const char* name : {"", "a/b", "a b", "küche", "a\\nb"}) {
    EXPECT_THAT(
        lines(parse_text(std::string("[[group]]\nexecutable = \"tasks\"\nname = \"") + name + "\"\n")),
        ElementsAre(StartsWith("3:8: \"name\" in [[group]]: ")))
        << name;
  }
}

TEST_F(ConfigTest, MeasuresQueueNamesInCharacters) {
  std::string umlauts;
  for (int i = 0; i < 128; ++i) umlauts += "ü";
  EXPECT_THAT(problems_of("queues = [\"" + umlauts + "\"]\n"), IsEmpty());
  EXPECT_THAT(problems_of("queues = [\"" + umlauts + "x\"]\n"),
              ElementsAre(HasSubstr("at most 128 characters")));
  EXPECT_THAT(problems_of("queues = [\"\"]\n"), ElementsAre(HasSubstr("must not be empty")));
  EXPECT_THAT(problems_of("queues = [\"a\", \"b\", \"a\"]\n"),
              ElementsAre(HasSubstr("\"a\" is named twice")));
}

TEST_F(ConfigTest, WantsAGroup) {
  EXPECT_THAT(lines(parse_text("")), ElementsAre(StartsWith("0:0: has no [[group]]")));
  EXPECT_THAT(lines(parse_text("group = []\n")), ElementsAre(StartsWith("0:0: has no [[group]]")));
  EXPECT_THAT(lines(parse_text("[group]\nname = \"a\"\n")),
              ElementsAre("1:1: a group stands in double brackets: [[group]], not [group]"));
  EXPECT_THAT(lines(parse_text("group = [1]\n")), ElementsAre("1:10: expected [[group]], got an integer"));
}

TEST_F(ConfigTest, WantsOneOfTheOtherSections) {
  EXPECT_THAT(problems_of("[[log]]\nlevel = \"info\"\n"),
              ElementsAre("4:1: expected the section [log], got an array of tables, use single brackets"));
}

TEST_F(ConfigTest, NamesEveryMissingKey) {
  EXPECT_THAT(
      lines(parse_text("\n[[group]]\ncount = 2\n")),
      ElementsAre("2:1: missing key \"name\" in [[group]]", "2:1: missing key \"executable\" in [[group]]"));
}

TEST_F(ConfigTest, TellsWhyAnExecutableIsNone) {
  directory_.write("plain", "not a program");
  const auto problems = [this](const std::string& executable) {
    return lines(parse_text("[[group]]\nname = \"a\"\nexecutable = \"" + executable + "\"\n"));
  };
  EXPECT_THAT(problems("taks"), ElementsAre("3:14: \"executable\" in [[group]]: " + directory_.path("taks") +
                                            ": No such file or directory"));
  EXPECT_THAT(problems("plain"), ElementsAre(HasSubstr("is not executable")));
  EXPECT_THAT(problems("."), ElementsAre(HasSubstr("is a directory")));
  EXPECT_THAT(problems("/dev/null"), ElementsAre(HasSubstr("is not a regular file")));
  EXPECT_THAT(problems("plain/tasks"), ElementsAre(HasSubstr("Not a directory")));
  EXPECT_THAT(problems(""), ElementsAre(HasSubstr("must not be empty")));
  EXPECT_THAT(problems(directory_.path("tasks")), IsEmpty());
}

TEST_F(ConfigTest, NoticesKeysThatSlippedIntoTheEnvironment) {
  EXPECT_THAT(
      problems_of("[group.environment]\nLANG = \"C\"\ndelete_jobs = \"always\"\n"),
      ElementsAre("6:1: \"delete_jobs\" in [group.environment]: is a key of [[group]], move it above the "
                  "environment"));
  EXPECT_THAT(problems_of("[group.environment]\nname = \"bar\"\n"),
              ElementsAre(HasSubstr("is a key of [[group]]")));
  EXPECT_THAT(
      problems_of("environment = { THREADS = 4, \"A=B\" = \"\" }\n"),
      ElementsAre("4:27: \"THREADS\" in [group.environment]: expected a string in quotes, got an integer",
                  "4:30: \"A=B\" in [group.environment]: is not the name of an environment variable"));
}

TEST_F(ConfigTest, ReportsEverythingAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(lines(parse_text("[supervisor]\n"
                               "polling_interval = 5\n"
                               "[stalled]\n"
                               "max_stalled = 0\n"
                               "[[group]]\n"
                               "queues = [\"\"]\n"
                               "name = \"a\"\n"
                               "executable = \"nowhere\"\n"
                               "[database]\n"
                               "port = 5432\n")),
              ElementsAre(StartsWith("2:20: "), StartsWith("4:15: "), StartsWith("6:11: "),
                          StartsWith("8:14: "), StartsWith("10:1: ")));
}

TEST_F(ConfigTest, PointsAtSyntaxErrors) {
  EXPECT_THAT(lines(parse_text("[log]\nlevel = \"info\n")),
              ElementsAre(StartsWith("2:14: not valid TOML: ")));
  EXPECT_THAT(
      lines(parse_text("[log]\nlevel = debug\n")),
      ElementsAre(AllOf(StartsWith("2:9: not valid TOML: "), HasSubstr("(strings stand in quotes)"))));
  EXPECT_THAT(lines(parse_text("[log]\n[log]\n")), ElementsAre(StartsWith("2:1: not valid TOML: ")));
  EXPECT_THAT(lines(parse_text("\xff")), ElementsAre(HasSubstr("not valid TOML: ")));
}

TEST_F(ConfigTest, NeverPrintsASecret) {
  for (const std::string text :
       {"database = \"postgres://me:sesame@db/shop\"", "[database]\nurl = postgres://me:sesame@db/shop",
        "[database]\nurl = \"postgres://me:sesame@db/shop",
        "[database]\nurl = [\"postgres://me:sesame@db/shop\"]",
        "[database]\nurll = \"postgres://me:sesame@db/shop\"", "[database]\nurl = \"sesame\\u0000\"",
        "url = \"postgres://me:sesame@db/shop\"", "[database]\nurl = \"a\"\nurl = \"sesame\"",
        "[[group]]\nenvironment = \"PASSWORD=sesame\"", "[[group]]\narguments = \"--password=sesame\""}) {
    const ParseResult result = parse_text(text);
    EXPECT_FALSE(result.problems.empty()) << text;
    for (const std::string& line : lines(result)) EXPECT_THAT(line, Not(HasSubstr("sesame")));
  }
}

TEST_F(ConfigTest, KeepsMessagesToOneShortLine) {
  const std::string umlaut = "ü";
  std::string odd = "a\\n\\u001b[31m";
  for (int i = 0; i < 100; ++i) odd += umlaut;
  const std::vector<std::string> problems = problems_of("delete_jobs = \"" + odd + "\"\n");
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], HasSubstr("\"a??[31mü"));
  EXPECT_THAT(problems[0], HasSubstr("ü…\""));
  EXPECT_LT(problems[0].size(), 200U);
}

}  // namespace
}  // namespace postpone::config

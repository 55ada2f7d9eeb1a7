#include "config/config.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <limits>
#include <system_error>
#include <thread>

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
using ::testing::Pair;
using ::testing::StartsWith;

// ---- Durations and sizes -------------------------------------------------------------------------

TEST(Numbers, AreReadInDecimalDigitsAsAPersonWouldRead) {
  const auto read = [](std::string_view text) { return parse_whole_number(text, -100, 1000); };
  EXPECT_EQ(read("42"), 42);
  EXPECT_EQ(read("-5"), -5);
  EXPECT_EQ(read("0123"), 123) << "not octal";
  EXPECT_EQ(read("010"), 10);
  for (const char* text : {"", "0x6f", "0b1", "1e2", "1.0", "+5", " 5", "5 ", "5s", "--5", "1'000", "nan",
                           "1001", "-101", "9223372036854775808", "99999999999999999999999"}) {
    EXPECT_EQ(read(text), std::nullopt) << text;
  }
}

TEST(Numbers, MayHaveADecimalPoint) {
  const auto read = [](std::string_view text) { return parse_decimal(text, 0.1, 100); };
  EXPECT_EQ(read("2"), 2.0);
  EXPECT_EQ(read("0.25"), 0.25);
  EXPECT_EQ(read("010"), 10.0);
  for (const char* text :
       {"", ".", ".5", "5.", "1.2.3", "0x10", "1e1", "inf", "nan", "-1", "+1", "0.05", "100.5", "1e400"})
    EXPECT_EQ(read(text), std::nullopt) << text;
}

TEST(Durations, AreANumberAndAUnit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0.25h"), 15min);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(Durations, AreNothingElse) {
  for (const char* text : {"", "30", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "5S", "5sec", "1m30s", ".5s",
                           "5.s", "1.5.5s", "1e3s", "0x10s", "٣s", "1.0000001s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Durations, AreNeverRounded) {
  EXPECT_EQ(parse_duration("0.4ms"), std::nullopt);
  EXPECT_EQ(parse_duration("1.0005s"), std::nullopt);
  EXPECT_EQ(parse_duration("1.0ms"), 1ms);
}

TEST(Durations, ThatDoNotFitAreRefused) {
  EXPECT_EQ(parse_duration("9223372036854775807ms"), Milliseconds::max());
  EXPECT_EQ(parse_duration("9223372036854775808ms"), std::nullopt);
  EXPECT_EQ(parse_duration("9223372036854775807s"), std::nullopt);
  EXPECT_EQ(parse_duration("106751991167d"), Milliseconds(106751991167LL * 86'400'000));
  EXPECT_EQ(parse_duration("106751991168d"), std::nullopt);
  EXPECT_EQ(parse_duration("106751991167.999999d"), std::nullopt);
}

TEST(Durations, AreFormattedAsShortAsTheyCanBeRead) {
  EXPECT_EQ(format_duration(0ms), "0ms");
  EXPECT_EQ(format_duration(1500ms), "1500ms");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(2h), "2h");
  for (const Milliseconds duration : {1ms, 999ms, 1000ms, 60'000ms, 61'000ms, 86'400'000ms}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration);
  }
}

TEST(Sizes, AreANumberAndAUnitOrBytes) {
  EXPECT_EQ(parse_size("0"), 0);
  EXPECT_EQ(parse_size("1024"), 1024);
  EXPECT_EQ(parse_size("7B"), 7);
  EXPECT_EQ(parse_size("64KiB"), 65536);
  EXPECT_EQ(parse_size("512MiB"), 512LL * 1024 * 1024);
  EXPECT_EQ(parse_size("2GiB"), 2LL * 1024 * 1024 * 1024);
  EXPECT_EQ(parse_size("1.5GiB"), 1536LL * 1024 * 1024);
  EXPECT_EQ(parse_size("1TiB"), 1LL << 40);
  EXPECT_EQ(parse_size("1kB"), 1000);
  EXPECT_EQ(parse_size("1KB"), 1000);
  EXPECT_EQ(parse_size("1GB"), 1'000'000'000);
}

TEST(Sizes, AreNothingElse) {
  for (const char* text :
       {"", "-1", "MiB", "1 MiB", "1mib", "1M", "0.5B", "1.5", "99999999999TiB", "9223372036854775808"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_size("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

// ---- Did you mean --------------------------------------------------------------------------------

TEST(Nearest, ForgivesOneSlipOfTheFinger) {
  const std::vector<std::string_view> keys{"name", "count", "queues"};
  EXPECT_EQ(nearest("coutn", keys), "count");   // swapped
  EXPECT_EQ(nearest("cont", keys), "count");    // left out
  EXPECT_EQ(nearest("countt", keys), "count");  // added
  EXPECT_EQ(nearest("naem", keys), "name");
  EXPECT_EQ(nearest("queue", keys), "queues");
  EXPECT_EQ(nearest("count", keys), "count");
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("frobnicate", {"name", "count"}), std::nullopt);
  EXPECT_EQ(nearest("", {"name"}), std::nullopt);
  EXPECT_EQ(nearest("name", {}), std::nullopt);
  EXPECT_EQ(nearest(std::string(1'000'000, 'x'), {"name"}), std::nullopt);
}

TEST(Nearest, PrefersTheFirstOfEquals) {
  EXPECT_EQ(nearest("bat", {"cat", "bar"}), "cat");
}

// ---- The file ------------------------------------------------------------------------------------

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() { directory_.write_executable("tasks"); }

  // Parses `text` as it stands.
  ParseResult parse_text(const std::string& text) const { return parse(text, directory_.path()); }

  // Parses `text` behind a group that is right: what is wrong is in line 4 or later.
  std::vector<std::string> problems_of(const std::string& text) const {
    return lines(parse_text("[[group]]\nname = \"kitchen\"\nexecutable = \"tasks\"\n" + text));
  }

  ConfigDirectory directory_;
};

TEST_F(ConfigTest, TheStatusSocketIsOneThatTheKernelTakes) {
  const std::string too_long(120, 'x');
  EXPECT_THAT(problems_of("[status]\nsocket = \"/" + too_long + "\"\n"),
              ElementsAre("5:10: \"socket\" in [status]: /" + too_long +
                          " is too long for a Unix socket, which has at most 107 bytes"));
  EXPECT_THAT(problems_of("[status]\ngroup = \"no such group\"\n"),
              ElementsAre("5:9: \"group\" in [status]: there is no group \"no such group\" on this host"));
}

TEST_F(ConfigTest, DirectoriesOfSocketAndLogAreThere) {
  EXPECT_THAT(problems_of("[status]\nsocket = \"no/s\"\n[log]\nfile = \"tasks/l\"\n"),
              ElementsAre("5:10: \"socket\" in [status]: there is no directory " + directory_.path("no"),
                          "7:8: \"file\" in [log]: " + directory_.path("tasks") + " is no directory"));
  // A service manager makes them when it starts what needs them.
  EXPECT_THAT(problems_of("[status]\nsocket = \"/run/no/such/s\"\n"), IsEmpty());
  for (const char* file : {"/var/log/postpone/no-such/log", "/var/lib/postpone/no-such/log"})
    EXPECT_THAT(problems_of("[log]\nfile = \"" + std::string(file) + "\"\n"), IsEmpty());
}

// Its lines would be appended there.
TEST_F(ConfigTest, TheLogIsNoFileThatIsNeededForSomethingElse) {
  const std::string tasks = directory_.path("tasks");
  EXPECT_THAT(problems_of("[log]\nfile = \"tasks\"\n"),
              ElementsAre("5:8: \"file\" in [log]: " + tasks + " is the task executable of group \"kitchen\""));
  for (const std::string end : {"", ".lock"})
    EXPECT_THAT(problems_of("[status]\nsocket = \"s\"\n[log]\nfile = \"s" + end + "\"\n"),
                ElementsAre(HasSubstr("is the status socket or its lock")));
  const std::string text = "[log]\nfile = \"k.toml\"\n[[group]]\nname = \"k\"\nexecutable = \"tasks\"\n";
  const std::string path = directory_.write("k.toml", text);
  EXPECT_THAT(lines(load(path)), ElementsAre("2:8: \"file\" in [log]: " + path + " is this configuration"));
  EXPECT_THAT(lines(parse(text, directory_.path(), Files::trust)), IsEmpty());
}

TEST_F(ConfigTest, IsReadFromAPipeToo) {
  const std::string pipe = directory_.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << "[log]\n"; });
  EXPECT_EQ(read_text(pipe), "[log]\n");
  writer.join();
  EXPECT_THROW(read_text("/dev/zero"), std::system_error);
}

TEST_F(ConfigTest, AUserIsOneOfThisHost) {
  EXPECT_THAT(lines(parse_text("[[group]]\nname = \"k\"\nexecutable = \"tasks\"\nuser = \"root\"\n")),
              IsEmpty());
  EXPECT_THAT(lines(parse_text("[[group]]\nname = \"k\"\nexecutable = \"tasks\"\nuser = \"no such user\"\n")),
              ElementsAre("4:8: \"user\" in [[group]]: there is no user \"no such user\" on this host"));
}

// Out of descriptors here; in real life a directory service that is not up yet.
TEST_F(ConfigTest, AUserThatCannotBeLookedUpIsNotWrong) {
  const std::string text =
      "[status]\ngroup = \"daemon\"\n[[group]]\nname = \"k\"\nexecutable = \"tasks\"\nuser = \"daemon\"\n";
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const ParseResult result = parse_text(text);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(lines(result), IsEmpty());
}

TEST_F(ConfigTest, PathsHaveNoDotsThatSayNothing) {
  const auto result = parse("[[group]]\nname = \"k\"\nexecutable = \"./tasks\"\n", directory_.path() + "/.");
  ASSERT_THAT(lines(result), IsEmpty());
  EXPECT_EQ(result.config->groups[0].executable, directory_.path("tasks"));
}

// Each would take a call of its own in the parser, until the stack is used up.
TEST_F(ConfigTest, AKeyOfTooManyPartsIsRefusedBeforeItIsRead) {
  std::string dots = "a";
  for (int i = 0; i < 50'000; ++i) dots += ".a";
  for (const std::string& text : {"\n[" + dots + "]\n", "\n" + dots + " = 1\n", "\nx = {" + dots + " = 1}\n"})
    EXPECT_THAT(lines(parse_text(text)), ElementsAre(HasSubstr("2:1: not valid: a key of so many parts")));
  EXPECT_THAT(problems_of("environment = { A = \"" + std::string(500, '.') + "\" } # " +
                          std::string(500, '.') + "\n"),
              IsEmpty());
}

TEST_F(ConfigTest, WhatStandsInStringsAndCommentsHasNoParts) {
  const std::string dots(500, '.');
  for (const std::string& value :
       {"[\"\"\"\n" + dots + "\n" + dots + "\"\"\"]", "['''\n" + dots + "\n''']",
        "[\"" + dots + "\\\"" + dots + "\"]", "['" + dots + "\\', '" + dots + "']",
        "[\n# " + dots + "\n\"a\"]", "[\"\"\"a\"\"\"\"\", \"" + dots + "\", \"\"\"\"\"\", '" + dots + "']"})
    EXPECT_THAT(problems_of("arguments = " + value + "\n"), IsEmpty()) << value;
  std::string numbers;
  for (int i = 0; i < 200; ++i) numbers += "1.5, ";
  EXPECT_THAT(problems_of("arguments = [" + numbers + "]\n"),
              testing::Contains(HasSubstr("expected a string")));
}

// Where a string ends decides what the parser makes of the rest.
TEST_F(ConfigTest, AKeyOfTooManyPartsIsSeenBehindAnyString) {
  std::string dots = "a";
  for (int i = 0; i < 400'000; ++i) dots += ".a";
  for (const std::string before : {"y = \"\"\"\nz\"\"\"", "y = '''\nz'''", "y = \"\"\"z\"\"\"\"\"",
                                   "y = \"\"", "y = '\\'", "y = \"\\\"\"", "y = \"\"\"\\\"\"\"\"",
                                   "y = \"\"\"\"\"\"\"", "y = \"\"\"# \\\"\"\"\"\"", "y = ''''''"})
    EXPECT_THAT(lines(parse_text("x = {" + before + ", " + dots + " = 1}\n")),
                ElementsAre(HasSubstr("not valid: a key of so many parts")))
        << before;
  EXPECT_THAT(lines(parse_text("# \"\"\"\n# '\nx = 1 # \"\n" + dots + " = 1\n")),
              ElementsAre(HasSubstr("4:1: not valid: a key of so many parts")));
}

TEST_F(ConfigTest, WhatIsNestedTooDeeplyIsRefusedBeforeItIsRead) {
  std::string tables = "x = ";
  for (int i = 0; i < 100'000; ++i) tables += "{a = ";
  for (const std::string& text :
       {"x = " + std::string(100'000, '['), tables, "x = [\n" + std::string(100'000, '[')})
    EXPECT_THAT(lines(parse_text(text)),
                ElementsAre(HasSubstr("not valid: arrays or tables inside of so many others")));
  // The most of both, which the parser's stack holds.
  std::string parts = "a";
  for (int i = 1; i < 64; ++i) parts += ".a";
  std::string deepest = "[" + parts + "]\n" + parts + " = ";
  for (int i = 0; i < 16; ++i) deepest += "{" + parts + " = ";
  EXPECT_THAT(lines(parse_text(deepest + "1" + std::string(16, '}') + "\n")),
              testing::Contains(HasSubstr("unknown section \"a\"")));
}

TEST_F(ConfigTest, ATextThatIsNoConfigurationBySizeIsNotRead) {
  EXPECT_THAT(lines(parse_text(std::string((1 << 20) + 1, '\n'))),
              ElementsAre(HasSubstr("larger than 1 MiB")));
  EXPECT_THAT(problems_of(std::string(1 << 19, '\n')), IsEmpty());
}

TEST_F(ConfigTest, AFileModeIsOctalDigitsInQuotes) {
  for (const char* mode : {"660", "0660", "0777", "000"})
    EXPECT_THAT(
        lines(parse_text(std::string("[[group]]\nname = \"k\"\nexecutable = \"tasks\"\n[status]\nmode = \"") +
                         mode + "\"\n")),
        IsEmpty())
        << mode;
  for (const char* mode : {"\"0\"", "\"0880\"", "\"1777\"", "\"rw-rw----\"", "\"\"", "\"-660\""})
    EXPECT_THAT(
        problems_of(std::string("[status]\nmode = ") + mode + "\n"),
        ElementsAre(StartsWith("5:8: \"mode\" in [status]: expected a file mode in octal digits such as "
                               "\"0660\"")))
        << mode;
  EXPECT_THAT(problems_of("[status]\nmode = 660\n"),
              ElementsAre(StartsWith("5:8: \"mode\" in [status]: expected")));
}

TEST_F(ConfigTest, ReadsEveryKindOfValue) {
  directory_.write("log/here", "");
  directory_.write("run/here", "");
  const ParseResult result = parse_text(R"(
    database = { url = "dbname=shop", listen = false, pool_size = 3 }
    [supervisor]
    polling_interval = "1.5s"
    [stalled]
    action = "fail"
    foreign_action = "retry"
    max_stalled = 5
    [log]
    level = "debug"
    levels = { job = "warning", database = "trace" }
    format = "json"
    file = "log/shop.log"
    [status]
    socket = "run/status.sock"
    mode = "0600"
    group = "root"
    [[group]]
    name = "kitchen"
    executable = "tasks"
    arguments = ["--menu", ""]
    environment = { LANG = "C", EMPTY = "" }
    queues = ["kitchen", "küche"]
    count = 4
    delete_jobs = "successful"
    fresh_process_per_job = true
    max_jobs = 100
    max_jobs_jitter = 10
    max_rss = "512MiB"
    slow_after = "90s"
    memory_limit = "1GiB"
    max_output = 4096
    [[group]]
    name = "bar"
    executable = "tasks"
    [group.environment]
    PATH = "/bin"
  )");
  ASSERT_THAT(lines(result), IsEmpty());
  const Config& config = *result.config;
  EXPECT_EQ(config.database.url, "dbname=shop");
  EXPECT_FALSE(config.database.listen);
  EXPECT_EQ(config.supervisor.polling_interval, 1500ms);
  EXPECT_EQ(config.status.socket, directory_.path("run/status.sock"));
  EXPECT_EQ(config.status.mode, 0600);
  EXPECT_EQ(config.status.group, "root");
  EXPECT_EQ(config.stalled.action, StalledAction::fail);
  EXPECT_EQ(config.stalled.foreign_action, StalledAction::retry);
  EXPECT_EQ(config.stalled.max_stalled, 5);
  EXPECT_EQ(config.log.format, LogFormat::json);
  EXPECT_THAT(config.log.levels, ElementsAre(Pair("database", "trace"), Pair("job", "warning")));
  EXPECT_EQ(config.log.file, directory_.path("log/shop.log"));
  ASSERT_EQ(config.groups.size(), 2U);
  const Group& kitchen = config.groups[0];
  EXPECT_EQ(kitchen.slow_after, 90s);
  EXPECT_THAT(kitchen.arguments, ElementsAre("--menu", ""));
  EXPECT_THAT(kitchen.environment, ElementsAre(Pair("EMPTY", ""), Pair("LANG", "C")));
  EXPECT_THAT(kitchen.queues, ElementsAre("kitchen", "küche"));
  EXPECT_EQ(kitchen.delete_jobs, DeleteJobs::successful);
  EXPECT_TRUE(kitchen.fresh_process_per_job);
  EXPECT_EQ(kitchen.max_rss, 512LL * 1024 * 1024);
  EXPECT_EQ(kitchen.memory_limit, 1024LL * 1024 * 1024);
  EXPECT_EQ(kitchen.max_output, 4096);
  EXPECT_THAT(config.groups[1].environment, ElementsAre(Pair("PATH", "/bin")));
  EXPECT_EQ(config.total_subworkers(), 5);
  EXPECT_EQ(config.effective_pool_size(), 3);
}

TEST_F(ConfigTest, GivesEachSubworkerAConnectionUnlessTold) {
  const ParseResult result = parse_text("[[group]]\nname = \"a\"\nexecutable = \"tasks\"\ncount = 7\n");
  ASSERT_THAT(lines(result), IsEmpty());
  EXPECT_EQ(result.config->effective_pool_size(), 7);
}

TEST_F(ConfigTest, MakesRelativeDirectoriesAbsolute) {
  const std::filesystem::path here = std::filesystem::current_path();
  const std::string text = "[[group]]\nname = \"a\"\nexecutable = \"tasks\"\n";
  const ParseResult result = parse(text, std::filesystem::relative(directory_.path(), here).string());
  ASSERT_THAT(lines(result), IsEmpty());
  EXPECT_TRUE(std::filesystem::path(result.config->groups[0].executable).is_absolute());
  EXPECT_THAT(lines(parse(text, "")), ElementsAre(HasSubstr((here / "tasks").string() + ": No such file")));
}

TEST(Groups, ServeTheirQueuesOrAll) {
  Config config;
  config.groups.resize(3);
  for (std::size_t i = 0; i < 3; ++i) config.groups[i].name = std::string(1, "abc"[i]);
  config.groups[0].queues = {"kitchen", "bar"};
  config.groups[1].queues = {"bar"};
  EXPECT_THAT(config.groups_serving("bar"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(config.groups_serving("kitchen"), ElementsAre("a", "c"));
  EXPECT_THAT(config.groups_serving("elsewhere"), ElementsAre("c"));
  EXPECT_THAT(config.groups_serving(""), ElementsAre("a", "b", "c"));
}

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
  EXPECT_THAT(problems_of("[frobnicate]\n"),
              ElementsAre("4:2: unknown section \"frobnicate\", valid sections are [database], [supervisor], "
                          "[stalled], [log], [status], [[group]]"));
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
      ElementsAre("4:27: \"THREADS\" in [group.environment]: expected a string in quotes, got integer 4",
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

// ---- Files and overrides -------------------------------------------------------------------------

TEST_F(ConfigTest, LoadsAFileAndFindsItsExecutables) {
  directory_.write_executable("bin/tasks");
  const std::string path =
      directory_.write("etc/kitchen.toml", "[[group]]\nname = \"a\"\nexecutable = \"../bin/tasks\"\n");
  const ParseResult result = load(path);
  ASSERT_THAT(lines(result), IsEmpty());
  EXPECT_EQ(result.config->groups[0].executable, directory_.path("etc/../bin/tasks"));
}

TEST_F(ConfigTest, SaysWhyAFileCannotBeRead) {
  const auto complaint = [](const std::string& path) { return to_string(load(path).problems.at(0), path); };
  const std::string missing = directory_.path("missing.toml");
  EXPECT_EQ(complaint(missing), missing + ": cannot be read: No such file or directory");
  EXPECT_EQ(complaint(directory_.path()), directory_.path() + ": cannot be read: Is a directory");
  EXPECT_THAT(complaint("/dev/zero"), HasSubstr("larger than 1 MiB"));
}

TEST(Problems, AreWrittenAsCompilersDo) {
  EXPECT_EQ(to_string(Problem{12, 3, "unknown key"}, "demo.toml"), "demo.toml:12:3: unknown key");
  EXPECT_EQ(to_string(Problem{0, 0, "has no [[group]]"}, "demo.toml"), "demo.toml: has no [[group]]");
}

TEST(OverridesTest, GoBeforeTheFile) {
  Config config;
  config.database.url = "dbname=file";
  apply({.database_url = "dbname=flag", .log_level = "debug"}, config);
  EXPECT_EQ(config.database.url, "dbname=flag");
  EXPECT_EQ(config.log.level, "debug");
}

TEST(OverridesTest, ThatSayNothingChangeNothing) {
  Config config;
  config.database.url = "dbname=file";
  const Config before = config;
  apply({}, config);
  apply({.database_url = "", .log_level = {}}, config);
  EXPECT_EQ(config, before);
}

}  // namespace
}  // namespace postpone::config

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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

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
  EXPECT_THAT(
      problems_of("[log]\nfile = \"tasks\"\n"),
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
    events = "none"
    attempts = "failures"
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
  EXPECT_EQ(kitchen.events, KeepEvents::none);
  EXPECT_EQ(kitchen.attempts, KeepAttempts::failures);
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

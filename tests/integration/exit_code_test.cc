// The exit codes of postpone-supervisor and postpone-subworker that docs/cli.md promises to service managers.
// cli_usage_test.cc and others of cli_test have those of `postpone`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "sys/process.h"
#include "tests/support/cli.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/program.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";

class ExitCode : public testing::Test {
 protected:
  std::string config(const std::string& text) const {
    const std::string path = files_.file("config.toml");
    std::ofstream(path) << text;
    return path;
  }
  ProgramRun run(std::vector<std::string> command) const {
    return run_program(command, {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
  }
  // postpone config check ARGUMENT…
  ProgramRun check(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"config", "check"});
    return postpone_on(database_.url(), std::move(arguments));
  }
  std::string count(const std::string& table) const {
    return database_.execute("SELECT count(*) FROM " + table);
  }
  // Starts a sub-worker by hand.
  sys::Process sub_worker(const std::string& path, const std::vector<std::string>& more = {}) const {
    return start(POSTPONE_SUBWORKER, {"--config", path, "--group", "m"}, more);
  }
  sys::Process start(const std::string& program, std::vector<std::string> arguments,
                     const std::vector<std::string>& more = {}) const {
    sys::ProcessSpec spec;
    spec.executable = program;
    spec.arguments = std::move(arguments);
    spec.arguments.insert(spec.arguments.end(), more.begin(), more.end());
    spec.environment = {{"POSTPONE_DATABASE_URL", database_.url()}};
    spec.parent_death_signal = SIGKILL;
    return sys::Process::spawn(spec);
  }

  TestDatabase database_;
  TemporaryDirectory files_;
};

class SupervisorExit : public ExitCode {};
class SubWorkerExit : public ExitCode {};

// A task executable that is killed when it is asked what it has, unless this shell command is true.
std::string killed_when_asked(const TemporaryDirectory& files, const std::string& unless) {
  const std::string path = files.file("tasks");
  std::ofstream(path) << "#!/bin/sh\n[ \"$1\" != --describe ] || " << unless << " || { touch "
                      << files.file("asked") << "; kill -9 $$; }\nexec " << kMisbehave << " \"$@\"\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

TEST_F(SupervisorExit, Is0AfterASignal) {
  Family family(database_.url(), group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_EQ(family.stop().code, 0) << family.log();
}

TEST_F(SupervisorExit, Is0AfterASignalThatWasBlockedWhereItWasStarted) {
  const std::string wrapper = files_.file("supervisor");
  std::ofstream(wrapper) << "#!/bin/sh\nexec env --block-signal " POSTPONE_SUPERVISOR " \"$@\"\n";
  std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
  Family family(database_.url(), group("m", kMisbehave, 1), {.program = wrapper});
  family.wait_until_ready(1);
  EXPECT_EQ(family.stop().code, 0) << family.log();
}

TEST_F(SupervisorExit, Is0AfterASecondSignalThatInterruptsAJob) {
  Family family(database_.url(), group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  database_.execute("SELECT postpone_defer('misbehave.hang', queue => 'm')");
  ASSERT_TRUE(eventually([&] { return count("procrastinate_jobs WHERE status = 'doing'") == "1"; }));
  family.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return family.log().find("draining") != std::string::npos; }));
  EXPECT_EQ(family.stop().code, 0) << family.log();
}

TEST_F(SupervisorExit, Is0AfterASignalWhileItWaitsForTheDatabase) {
  Family family("host=/no/such/directory", group("m", kMisbehave, 1));
  ASSERT_TRUE(eventually([&] {
    return family.log().find("trying again until it goes well") != std::string::npos;
  })) << family.log();
  EXPECT_EQ(family.stop().code, 0) << family.log();
}

// The kernel may have killed it, for want of memory.
TEST_F(SupervisorExit, Is0WhenATaskExecutableWasKilledAtItsFirstQuestion) {
  const auto tasks = killed_when_asked(files_, "[ -e " + files_.file("asked") + " ]");
  const auto ended = run({POSTPONE_SUPERVISOR, "--one-shot", "--config", config(group("m", tasks, 1))});
  EXPECT_EQ(ended.exit_status, 0) << ended.errors;
  EXPECT_THAT(ended.errors, HasSubstr("signal 9 (Killed); trying again"));
}

TEST_F(SupervisorExit, Is3WhenATaskExecutableIsKilledAtEachQuestion) {
  const auto tasks = killed_when_asked(files_, "false");
  const auto ended = run({POSTPONE_SUPERVISOR, "--one-shot", "--config", config(group("m", tasks, 1))});
  EXPECT_EQ(ended.exit_status, 3) << ended.errors;
}

TEST_F(SupervisorExit, Is3ForAUrlThatIsNone) {
  for (const std::string key : {"url", "listen_url"}) {
    const auto path =
        config("[database]\n" + key + " = \"postgres://u:p%zz@h/d\"\n" + group("m", kMisbehave, 1));
    const auto started = run_program({POSTPONE_SUPERVISOR, "--config", path});
    EXPECT_EQ(started.exit_status, 3) << started.errors;
    EXPECT_THAT(started.errors, HasSubstr("\"" + key + "\" in [database]: the database url is not valid"));
    const auto checked = postpone({"config", "check", path});
    EXPECT_EQ(checked.exit_status, 3) << checked.output;
    EXPECT_THAT(checked.errors, HasSubstr("\"" + key + "\" in [database]: the database url is not valid"));
  }
}

TEST_F(SupervisorExit, Is3ForAUrlThatIsNoneAndNamesWhereItStands) {
  const std::string wrong = "postgres://u:p%zz@h/d";
  const auto path = config(group("m", kMisbehave, 1));
  const auto by_option = run({POSTPONE_SUPERVISOR, "--config", path, "--database-url", wrong});
  EXPECT_EQ(by_option.exit_status, 3);
  EXPECT_THAT(by_option.errors, testing::StartsWith("--database-url: the database url is not valid"));
  const auto by_variable = run_program({POSTPONE_SUPERVISOR, "--config", path},
                                       {.environment = {{"POSTPONE_DATABASE_URL", wrong}}});
  EXPECT_EQ(by_variable.exit_status, 3);
  EXPECT_THAT(by_variable.errors,
              testing::StartsWith("POSTPONE_DATABASE_URL: the database url is not valid"));
}

TEST_F(SupervisorExit, ConfigCheckAsksTheTaskExecutablesWhenItIsToldTo) {
  const auto good = check({"--tasks", config(group("m", kMisbehave, 1))});
  EXPECT_EQ(good.exit_status, 0) << good.errors;
  EXPECT_THAT(good.output, HasSubstr("misbehave.noop"));
  const auto path = config(group("m", "/bin/true", 1));
  EXPECT_EQ(check({path}).exit_status, 0);
  const auto bad = check({"--tasks", path});
  EXPECT_EQ(bad.exit_status, 3) << bad.output;
  EXPECT_THAT(bad.output, HasSubstr("no task executable: --describe: "));
}

TEST_F(SupervisorExit, Is5ForAListenUrlThatIsRefusedForGood) {
  const auto path = config("[database]\nlisten_url = \"" + database_.url() + " user=nobody_of_that_name\"\n" +
                           group("m", kMisbehave, 1));
  const auto started = run({POSTPONE_SUPERVISOR, "--config", path});
  EXPECT_EQ(started.exit_status, 5) << started.errors;
  EXPECT_THAT(started.errors, HasSubstr("\"listen_url\" in [database]: "));
}

TEST_F(SupervisorExit, Is3WhenItMayOpenTooFewFilesAndSaysHowManyItNeeds) {
  const auto path = config(group("m", kMisbehave, 3));
  const auto started =
      run({"/bin/sh", "-c", std::string("ulimit -n 32; exec ") + POSTPONE_SUPERVISOR + " --config " + path});
  EXPECT_EQ(started.exit_status, 3) << started.errors;
  EXPECT_THAT(started.errors, HasSubstr("need 60 open files in the supervisor, and it may have 32"));
}

TEST_F(SupervisorExit, Is3WhenItMayHaveTooFewPendingSignals) {
  const auto path = config(group("m", kMisbehave, 3));
  const auto started =
      run({"/bin/bash", "-c", std::string("ulimit -i 2; exec ") + POSTPONE_SUPERVISOR + " --config " + path});
  EXPECT_EQ(started.exit_status, 3) << started.errors;
  EXPECT_THAT(started.errors, HasSubstr("raise the limit (ulimit -i, LimitSIGPENDING=)"));
}

// The number of files that the supervisor asks for is enough for a job, a reload and a client of the status
// socket.
TEST_F(SupervisorExit, TheFilesThatItAsksForAreEnough) {
  const std::string wrapper = files_.file("supervisor");
  std::ofstream(wrapper) << "#!/bin/sh\nulimit -n 60\nexec " POSTPONE_SUPERVISOR " \"$@\"\n";
  std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
  const std::string text = "[status]\nsocket = \"" + files_.file("s") + "\"\n" + group("m", kMisbehave, 3);
  Family family(database_.url(), text, {.program = wrapper});
  family.wait_until_ready(3);
  family.rewrite(text + "max_jobs = 10\n");
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return family.log().find(" is in force: ") != std::string::npos; }))
      << family.log();
  database_.execute("SELECT postpone_defer('misbehave.noop', queue => 'm') FROM generate_series(1, 20)");
  EXPECT_TRUE(eventually([&] { return count("procrastinate_jobs WHERE status = 'succeeded'") == "20"; }))
      << family.log();
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_THAT(family.log(), testing::Not(HasSubstr("Too many open files")));
}

TEST_F(SupervisorExit, ALogThatMayNotGrowEndsNobody) {
  constexpr std::uintmax_t kLimit = 1UL << 30U;
  const std::string wrapper = files_.file("supervisor");
  std::ofstream(wrapper) << "#!/bin/bash\nulimit -f " << kLimit / 1024
                         << "\nexec " POSTPONE_SUPERVISOR " \"$@\"\n";
  std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
  const std::string log = files_.file("l.log");
  std::ofstream(log).flush();
  std::filesystem::resize_file(log, kLimit);  // a hole
  Family family(database_.url(), "[log]\nfile = \"" + log + "\"\n" + group("m", kMisbehave, 1),
                {.program = wrapper});
  database_.execute("SELECT postpone_defer('misbehave.noop', queue => 'm') FROM generate_series(1, 20)");
  EXPECT_TRUE(eventually([&] { return count("procrastinate_jobs WHERE status = 'succeeded'") == "20"; }))
      << family.log();
  EXPECT_EQ(std::filesystem::file_size(log), kLimit);
  EXPECT_TRUE(family.lives());
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(SupervisorExit, Is3WhenItsSharedMemoryIsLargerThanAFileMayBe) {
  const auto path = config(group("m", kMisbehave, 1));
  const auto started = run(
      {"/bin/sh", "-c", std::string("ulimit -f 1000; exec ") + POSTPONE_SUPERVISOR + " --config " + path});
  EXPECT_EQ(started.exit_status, 3) << started.errors;
  EXPECT_THAT(started.errors, HasSubstr("raise the limit (ulimit -f, LimitFSIZE=)"));
}

TEST_F(SupervisorExit, Is0WhenOneShotHasNothingLeftToDo) {
  EXPECT_EQ(
      run({POSTPONE_SUPERVISOR, "--one-shot", "--config", config(group("m", kMisbehave, 1))}).exit_status, 0);
}

// A job that waits for a group that does not start would wait for ever.
TEST_F(SupervisorExit, Is1WhenOneShotHasAGroupThatDoesNotGetReady) {
  const std::string tasks = files_.file("tasks");
  std::ofstream(tasks) << "#!/bin/sh\n[ \"$1\" = --describe ] || exit 1\nexec " << kMisbehave << " \"$@\"\n";
  std::filesystem::permissions(tasks, std::filesystem::perms::owner_all);
  database_.execute(
      "SELECT postpone_defer('misbehave.noop', queue => q) FROM unnest(ARRAY['good', 'bad']) AS q");
  const auto ended = run({POSTPONE_SUPERVISOR, "--one-shot", "--config",
                          config("[supervisor]\nrespawn_backoff = \"10ms\"\n" + group("good", kMisbehave, 2) +
                                 group("bad", tasks, 1))});
  EXPECT_EQ(ended.exit_status, 1) << ended.errors;
  EXPECT_THAT(ended.errors + ended.output,
              HasSubstr("1 sub-workers do not get ready: the jobs of their groups"));
  EXPECT_EQ(count("procrastinate_jobs WHERE status = 'succeeded' AND queue_name = 'good'"), "1");
  EXPECT_EQ(count("procrastinate_jobs WHERE status = 'todo' AND queue_name = 'bad'"), "1");
}

TEST_F(SupervisorExit, Is1WhenTheCheckBeforeTheStartIsKilled) {
  Family family("host=/no/such/directory", group("m", kMisbehave, 1));
  ASSERT_TRUE(eventually([&] {
    return family.log().find("trying again until it goes well") != std::string::npos;
  })) << family.log();
  for (const pid_t pid : family.processes("postpone: preflight")) send_signal(pid, SIGKILL);
  const auto report = family.wait();
  EXPECT_FALSE(report.signalled);
  EXPECT_EQ(report.code, 1) << family.log();
}

// A service manager tries again after 1: this mistake may go away by itself, one in the configuration does
// not.
TEST_F(SupervisorExit, Is1WhenItCannotBegin) {
  const std::string alone = files_.file("postpone-supervisor");
  std::filesystem::copy_file(POSTPONE_SUPERVISOR, alone);
  const auto ended = run({alone, "--config", config(group("m", kMisbehave, 1))});
  EXPECT_EQ(ended.exit_status, 1);
  EXPECT_THAT(ended.errors, HasSubstr("postpone-subworker: No such file"));
}

TEST_F(SupervisorExit, Is2ForACommandLineThatMakesNoSense) {
  EXPECT_EQ(run({POSTPONE_SUPERVISOR}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--config", "x", "--frobnicate"}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--config", "x", "--log-level", "loud"}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--help"}).exit_status, 0);
}

TEST_F(SupervisorExit, Is3ForAConfigurationLogFileOrTaskExecutableThatIsWrong) {
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--config", "/no/such/file"}).exit_status, 3);
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--config", config("[log]\nlevel = 1\n" + group("m", kMisbehave, 1))})
                .exit_status,
            3);
  EXPECT_EQ(
      run({POSTPONE_SUPERVISOR, "--config", config("[log]\nfile = \"/\"\n" + group("m", kMisbehave, 1))})
          .exit_status,
      3);
  EXPECT_EQ(
      run({POSTPONE_SUPERVISOR, "--config", config("[log]\nfile = \".\"\n" + group("m", kMisbehave, 1))})
          .exit_status,
      3);
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--config", config(group("m", "/bin/true", 1))}).exit_status, 3);
}

TEST_F(SupervisorExit, Is5WithoutASchemaOrADatabase) {
  const std::string path = config(group("m", kMisbehave, 1));
  const TestDatabase empty(Schema::none);
  EXPECT_EQ(run({POSTPONE_SUPERVISOR, "--config", path, "--database-url", empty.url()}).exit_status, 5);
  const auto refused =
      run({POSTPONE_SUPERVISOR, "--config", path, "--database-url", test_server_url("no_such_database")});
  EXPECT_EQ(refused.exit_status, 5);
  EXPECT_THAT(refused.errors, HasSubstr("no_such_database"));
}

TEST_F(SubWorkerExit, Is0AfterASignal) {
  auto alone = sub_worker(config(group("m", kMisbehave, 1)));
  ASSERT_TRUE(eventually([&] { return count("postpone_workers") == "1"; }));
  alone.signal(SIGTERM);
  EXPECT_EQ(alone.reap().code, 0);
  EXPECT_EQ(count("postpone_workers"), "0");
}

TEST_F(SubWorkerExit, Is0AfterASignalThatItInheritedBlocked) {
  auto alone = start("/usr/bin/env", {"--block-signal=TERM", POSTPONE_SUBWORKER, "--config",
                                      config(group("m", kMisbehave, 1)), "--group", "m"});
  ASSERT_TRUE(eventually([&] { return count("postpone_workers") == "1"; }));
  alone.signal(SIGTERM);
  EXPECT_EQ(alone.reap().code, 0);
}

TEST_F(SubWorkerExit, Is0WithAnOomScoreThatIsReadAsDecimal) {
  auto alone = sub_worker(config(group("m", kMisbehave, 1)), {"--oom-score", "010"});
  ASSERT_TRUE(eventually([&] { return count("postpone_workers") == "1"; }));
  int score = 0;
  std::ifstream("/proc/" + std::to_string(alone.pid()) + "/oom_score_adj") >> score;
  EXPECT_EQ(score, 10);
  alone.signal(SIGTERM);
  EXPECT_EQ(alone.reap().code, 0);
}

TEST_F(SubWorkerExit, Is1WhenSomethingIsLeftThatItCouldNotRecord) {
  auto alone = sub_worker(config(group("m", kMisbehave, 1)));
  ASSERT_TRUE(eventually([&] { return count("postpone_workers") == "1"; }));
  database_.execute("DROP FUNCTION procrastinate_unregister_worker_v1(bigint)");
  alone.signal(SIGTERM);
  EXPECT_EQ(alone.reap().code, 1);
}

TEST_F(SubWorkerExit, Is2ForACommandLineOrConfigurationThatMakesNoSense) {
  const std::string good = config(group("m", kMisbehave, 1));
  EXPECT_EQ(run({POSTPONE_SUBWORKER}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUBWORKER, "--group", "m", "--housekeeper"}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUBWORKER, "--config", good, "--group", "other"}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUBWORKER, "--config", "/no/such/file", "--group", "m"}).exit_status, 2);
  EXPECT_EQ(run({POSTPONE_SUBWORKER, "--config", good, "--group", "m", "--oom-score", "0x10"}).exit_status,
            2);
  EXPECT_EQ(run({POSTPONE_SUBWORKER, "--help"}).exit_status, 0);
}

TEST_F(SubWorkerExit, Is3ForATaskExecutableThatIsNone) {
  EXPECT_EQ(
      run({POSTPONE_SUBWORKER, "--config", config(group("m", "/bin/true", 1)), "--group", "m"}).exit_status,
      3);
}

TEST_F(SubWorkerExit, Is4WithoutASchema) {
  const TestDatabase empty(Schema::none);
  const auto ended =
      run_program({POSTPONE_SUBWORKER, "--config", config(group("m", kMisbehave, 1)), "--group", "m"},
                  {.environment = {{"POSTPONE_DATABASE_URL", empty.url()}}});
  EXPECT_EQ(ended.exit_status, 4);
}

}  // namespace
}  // namespace postpone::tests

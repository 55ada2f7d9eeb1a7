// A configuration that is not fit changes nothing, says why, and keeps nobody waiting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/integration/reload_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::SizeIs;

TEST_F(Reload, ABadFileChangesNothingAndEveryMistakeIsSaid) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto before = family.processes();
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 9, "coutn = 3") + "time_limit = 30\n"),
              HasSubstr("not taken, everything stays as it was"));
  EXPECT_THAT(family.log(), AllOf(HasSubstr("config.toml:8:1: unknown key \"coutn\""),
                                  HasSubstr("config.toml:9:14: \"time_limit\"")));
  std::filesystem::remove(family.config_path());
  const std::size_t said = family.log().size();
  family.signal(SIGHUP);
  EXPECT_TRUE(eventually(
      [&] { return family.log().substr(said).find("No such file or directory") != std::string::npos; }));
  std::vector<pid_t> pids, now;
  for (const auto& [pid, title] : before) pids.push_back(pid);
  for (const auto& [pid, title] : family.processes()) now.push_back(pid);
  EXPECT_EQ(now, pids) << "nobody was replaced";
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ATaskExecutableThatIsNotFitChangesNothing) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2) + group("x", "/bin/true", 1)),
              HasSubstr("not taken, everything stays as it was: a task executable is not fit: [[group]] "
                        "\"x\": task executable /bin/true --describe: "));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, TheFirstOfSeveralReasonsIsSaidWithTheirNumber) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_THAT(reload(family, kNoPolling + group("x", "/bin/true", 1) + group("y", "/bin/false", 1)),
              AllOf(HasSubstr("[[group]] \"x\""), HasSubstr("(and 1 more, see the log)")));
  EXPECT_THAT(family.log(), HasSubstr("[[group]] \"y\": task executable /bin/false"));
  EXPECT_EQ(family.stop().code, 0);
}

// The log is part of what is not taken.
TEST_F(Reload, WhatIsWrongIsSaidInTheLogThatIsInForce) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  reload(family,
         "[log]\nfile = \"" + files_.file("new.log") + "\"\n" + kNoPolling + group("x", "/bin/true", 1));
  EXPECT_FALSE(std::filesystem::exists(files_.file("new.log"))) << read_file(files_.file("new.log"));
  EXPECT_THAT(reload(family, "[log]\nfile = \"" + files_.file("no/such/directory/log") + "\"\n" + kNoPolling +
                                 group("m", kMisbehave, 2)),
              AllOf(HasSubstr("not taken"), HasSubstr("there is no directory")));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

// An upgrade begins with the schema, and may take days to reach every host.
TEST_F(Reload, ANewerSchemaIsGoodEnoughForWhoRunsAlready) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  sql("INSERT INTO postpone_migrations (version, name) VALUES (9999, '9999_of_tomorrow')");
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)), HasSubstr("in force: group m has 2"));
  EXPECT_TRUE(has(family, "m/", 2));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  Family another(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  EXPECT_EQ(another.wait().code, 5) << "to start with it would be a downgrade";
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ASchemaThatIsNotFitIsToldOf) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  sql("DELETE FROM postpone_migrations WHERE version = (SELECT max(version) FROM postpone_migrations)");
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)),
              HasSubstr("the database's schema is not fit: schema \"public\" is at version "));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ACheckThatHangsIsGivenUpForTheNextFileAndWhenDraining) {
  const std::string bad =
      kNoPolling + group("a", silent(), 1) + group("b", silent(), 1) + group("c", silent(), 1);
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  family.rewrite(bad);
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 2; }));
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)), HasSubstr("in force: group m has 2"));
  EXPECT_TRUE(eventually([&] { return sleepers(family) == 0; })) << "what the check had asked, and its child";
  family.rewrite(bad);
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 2; }));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_TRUE(eventually([&] { return family.processes().empty(); }));
}

TEST_F(Reload, AConfigurationThatIsNoFileKeepsNobodyWaiting) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  std::filesystem::remove(family.config_path());
  ASSERT_EQ(::mkfifo(family.config_path().c_str(), 0600), 0);
  family.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return family.log().find("which is no regular file") != std::string::npos; }));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(family.stop().code, 0);
}

// Who could not start waits for longer and longer, and need not any more.
TEST_F(Reload, WhatMendsAGroupThatDoesNotGetReadyIsTriedAtOnce) {
  const std::string lame = files_.file("lame");
  std::ofstream(lame) << "#!/bin/sh\n[ \"$1\" = --describe ] || exit 1\nexec " << kMisbehave << " \"$@\"\n";
  std::filesystem::permissions(lame, std::filesystem::perms::owner_all);
  const std::string config = kNoPolling + "respawn_backoff = \"1h\"\nrespawn_backoff_max = \"1h\"\n" +
                             group("m", kMisbehave, 1) + group("lame", lame, 1);
  Family family(database_.url(), config);
  family.wait_until_ready(1);
  ASSERT_TRUE(eventually([&] {
    return family.log().find("sub-worker lame/1 (pid") != std::string::npos &&
           family.log().find("ended: exit status 3") != std::string::npos;
  })) << family.log();
  std::filesystem::remove(lame);
  std::filesystem::create_symlink(kMisbehave, lame);
  EXPECT_THAT(reload(family, config), HasSubstr("another task executable"));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "lame"), "succeeded")) << family.log();
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, ACheckThatDiesChangesNothing) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  family.rewrite(kNoPolling + group("m", silent(), 2));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return sleepers(family) == 2; }));
  for (const pid_t pid : family.processes("postpone: preflight")) send_signal(pid, SIGKILL);
  ASSERT_TRUE(eventually([&] { return family.log().find("config.toml is not taken") != std::string::npos; }));
  EXPECT_THAT(family.log(), HasSubstr("the check of task executables and schema ended with signal 9"));
  EXPECT_TRUE(eventually([&] { return sleepers(family) == 0; }));
  EXPECT_THAT(family.processes("postpone: sub-worker"), SizeIs(1));
  EXPECT_THAT(reload(family, kNoPolling + group("m", kMisbehave, 2)), HasSubstr("in force"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Reload, WhatCannotChangeIsNamedAndStays) {
  Family family(database_.url(), kNoPolling + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_THAT(reload(family,
                     "[supervisor]\nname = \"other\"\npolling_interval = \"2h\"\nheartbeat_interval = "
                     "\"1s\"\nfence_after = \"2s\"\nstalled_after = \"3s\"\n" +
                         group("m", kMisbehave, 2)),
              AllOf(HasSubstr("in force: group m has 2"), HasSubstr("; supervisor.name, ")));
  EXPECT_THAT(family.log(),
              HasSubstr("supervisor.name, supervisor.heartbeat_interval, supervisor.fence_after, "
                        "supervisor.stalled_after cannot change while the supervisor runs"));
  EXPECT_TRUE(has(family, "m/", 2));
  EXPECT_TRUE(becomes(defer("misbehave.noop", "m"), "succeeded"));
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_workers WHERE supervisor LIKE 'other%'"), "0");
  EXPECT_THAT(reload(family, "[supervisor]\nname = \"other\"\npolling_interval = \"2h\"\n" +
                                 group("m", kMisbehave, 2)),
              HasSubstr("nothing has changed; supervisor.name cannot change while the supervisor runs"));
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests

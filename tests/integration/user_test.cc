// Whose processes they are: where the user changes, trust ends, and within one user the family keeps to
// itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

const std::string kTestTasks = POSTPONE_TEST_TASKS;

bool is_root() {
  return ::geteuid() == 0;
}

// A user without rights: nobody, or, for those who cannot become another, the one who runs the tests.
std::string some_user() {
  return is_root() ? "nobody" : ::getpwuid(::geteuid())->pw_name;
}

// One who may connect to the tests' server by its socket.
std::string owner_of_server() {
  return is_root() ? "postgres" : some_user();
}

std::vector<std::string> as_user(const std::string& user, std::vector<std::string> command) {
  const std::vector<std::string> prefix{"setpriv", "--reuid=" + user,
                                        "--regid=" + std::to_string(::getpwnam(user.c_str())->pw_gid),
                                        "--clear-groups", "--"};
  if (is_root()) command.insert(command.begin(), prefix.begin(), prefix.end());
  return command;
}

class Users : public testing::Test {
 protected:
  Users() { std::filesystem::permissions(files_.file(""), std::filesystem::perms(0777)); }

  std::string append(const std::string& queue, const std::string& name) const {
    return database_.execute("SELECT postpone_defer('test.append', queue => '" + queue +
                             "', args => '{\"file\": \"" + files_.file(name) + "\", \"text\": \"here\"}')");
  }
  std::string status(const std::string& id) const {
    return database_.execute("SELECT status FROM procrastinate_jobs WHERE id = " + id);
  }
  static int oom_score(pid_t pid) {
    return std::atoi(read_file("/proc/" + std::to_string(pid) + "/oom_score_adj").c_str());
  }

  TestDatabase database_;
  TemporaryDirectory files_;
};

TEST_F(Users, ATaskProcessRunsAsTheUserOfItsGroup) {
  Family family(database_.url(), group("other", kTestTasks, 1, "user = \"" + some_user() + "\"") +
                                     group("own", kTestTasks, 1));
  family.wait_until_ready(2);
  const auto other = append("other", "other");
  const auto own = append("own", "own");
  ASSERT_TRUE(eventually([&] { return status(other) == "succeeded" && status(own) == "succeeded"; }))
      << family.log();
  struct stat made {};
  ASSERT_EQ(::stat(files_.file("other").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, ::getpwnam(some_user().c_str())->pw_uid);
  EXPECT_EQ(made.st_gid, ::getpwnam(some_user().c_str())->pw_gid);
  ASSERT_EQ(::stat(files_.file("own").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, ::geteuid());
  const auto surroundings = database_.execute(
      "SELECT postpone_defer('test.surroundings', queue => 'other', args => '{\"file\": \"" +
      files_.file("env") + "\"}')");
  ASSERT_TRUE(eventually([&] { return status(surroundings) == "succeeded"; })) << family.log();
  EXPECT_THAT(read_file(files_.file("env")), HasSubstr("\nUSER=" + some_user() + "\n"));
  // It is killed with its sub-worker, as one of our own user is.
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_TRUE(family.processes().empty());
}

// What a task could read of them, as a process of the same user, it could change, too.
TEST_F(Users, AFamilyCannotBeLookedIntoByProcessesOfItsUser) {
  const std::string wrapper = files_.file("supervisor");
  std::string command = "chmod 755 \"$(dirname \"$2\")\"; exec";
  for (const std::string& word : as_user(owner_of_server(), {POSTPONE_SUPERVISOR})) command += " " + word;
  std::ofstream(wrapper) << "#!/bin/sh\n" + command + " \"$@\"\n";
  std::filesystem::permissions(wrapper, std::filesystem::perms(0755));
  Family family(database_.url(), group("q", kTestTasks, 1),
                {.environment = {{"POSTPONE_DUMPABLE", "0"}}, .program = wrapper});
  family.wait_until_ready(1);
  const auto id = append("q", "file");
  ASSERT_TRUE(eventually([&] { return status(id) == "succeeded"; })) << family.log();
  const auto family_of = [&](const std::string& title) {
    return is_root() ? family.processes(title) : std::vector{family.pid()};
  };
  for (const std::string title : {"postpone: supervisor", "postpone: sub-worker", "postpone: housekeeper"})
    for (const pid_t pid : family_of(title)) {
      const std::string process = "/proc/" + std::to_string(pid);
      EXPECT_NE(run_program(as_user(owner_of_server(), {"cat", process + "/environ"})).exit_status, 0)
          << title;
      EXPECT_NE(run_program(as_user(owner_of_server(), {"ls", process + "/fd/"})).exit_status, 0) << title;
      EXPECT_NE(run_program(as_user(owner_of_server(), {"cat", process + "/maps"})).exit_status, 0) << title;
    }
  if (!is_root()) return;
  // And each is still taken before the next by the kernel that is short of memory.
  const int supervisor = oom_score(family.processes("postpone: supervisor").at(0));
  const int sub_worker = oom_score(family.processes("postpone: sub-worker").at(0));
  const int task = oom_score(family.processes(kTestTasks).at(0));
  EXPECT_LT(supervisor, sub_worker);
  EXPECT_LT(sub_worker, task);
}

TEST_F(Users, ASupervisorThatMayNotBecomeAnotherSaysSo) {
  const std::string config = files_.file("kitchen.toml");
  std::ofstream(config) << group("q", kTestTasks, 1, "user = \"root\"");
  const auto started = run_program(as_user(some_user(), {POSTPONE_SUPERVISOR, "--config", config}),
                                   {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
  EXPECT_EQ(started.exit_status, 3) << started.errors;
  EXPECT_THAT(started.errors, HasSubstr("may not start processes as another user; run it as root"));
}

}  // namespace
}  // namespace postpone::tests

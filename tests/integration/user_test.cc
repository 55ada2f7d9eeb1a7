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

std::string in_one_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

// Not root, and with the ambient capabilities of docs/operations.md. REQUIRES: this is root.
std::string with_ambient_capabilities(const std::string& program) {
  const std::string capabilities = "+setuid,+setgid,+kill";
  std::vector<std::string> command = as_user(owner_of_server(), {program});
  command.insert(command.end() - 2, {"--inh-caps=" + capabilities, "--ambient-caps=" + capabilities});
  return in_one_line(command);
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
  // A program that runs another one, given its path and arguments, with a command before it.
  std::string wrapper(const std::string& commands) const {
    const std::string path = files_.file("supervisor");
    std::ofstream(path) << "#!/bin/sh\nchmod 755 \"$(dirname \"$2\")\"; " + commands + " \"$@\"\n";
    std::filesystem::permissions(path, std::filesystem::perms(0755));
    return path;
  }
  std::string surroundings(const std::string& queue) const {
    return database_.execute("SELECT postpone_defer('test.surroundings', queue => '" + queue +
                             "', args => '{\"file\": \"" + files_.file(queue) + "\"}')");
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
  Family family(
      database_.url(), group("q", kTestTasks, 1),
      {.environment = {{"POSTPONE_DUMPABLE", "0"}},
       .program = wrapper("exec " + in_one_line(as_user(owner_of_server(), {POSTPONE_SUPERVISOR})))});
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

// The border of docs/operations.md: with what the supervisor may do, a task could become root.
TEST_F(Users, ATaskHasNoneOfTheCapabilitiesOfItsSupervisor) {
  if (!is_root()) GTEST_SKIP() << "needs root";
  Family family(database_.url(),
                group("other", kTestTasks, 1, "user = \"nobody\"") + group("own", kTestTasks, 1),
                {.environment = {{"POSTPONE_DUMPABLE", "0"}},
                 .program = wrapper("exec " + with_ambient_capabilities(POSTPONE_SUPERVISOR))});
  family.wait_until_ready(2);
  for (const std::string queue : {"other", "own"}) {
    const auto id = surroundings(queue);
    ASSERT_TRUE(eventually([&] { return status(id) == "succeeded"; })) << family.log();
    for (const std::string set : {"Inh", "Prm", "Eff", "Amb"})
      EXPECT_THAT(read_file(files_.file(queue)), HasSubstr("\nCap" + set + ":\t0000000000000000\n")) << queue;
  }
  const int sub_worker = oom_score(family.processes("postpone: sub-worker").at(0));
  const auto tasks = family.processes(kTestTasks);
  EXPECT_EQ(tasks.size(), 2U);
  for (const pid_t task : tasks) EXPECT_GE(oom_score(task), sub_worker + 100);
  EXPECT_THAT(family.log(), HasSubstr("no look at the descriptors of task processes of user nobody"));
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_TRUE(family.processes().empty());
}

TEST_F(Users, AUserWhoseProcessesAreHiddenIsRefused) {
  if (!is_root()) GTEST_SKIP() << "needs root";
  Family family(
      database_.url(), group("other", kTestTasks, 1, "user = \"nobody\""),
      {.program = wrapper("exec unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc && exec " +
                          with_ambient_capabilities(POSTPONE_SUPERVISOR) + " \"$@\"' sh")});
  EXPECT_EQ(family.wait().code, 3) << family.log();
  EXPECT_THAT(family.log(),
              HasSubstr("/proc hides its processes of user nobody from the user of the supervisor"));
}

// As packages install it. Without that, the kernel makes a process new to look into at each exec, and it
// takes some milliseconds until the program forbids it again: here it never does.
TEST_F(Users, ASubWorkerThatItsUserCannotReadIsClosedFromItsFirstMoment) {
  if (!is_root()) GTEST_SKIP() << "needs root";
  const std::filesystem::path installed = POSTPONE_SUPERVISOR;
  std::filesystem::copy_file(installed, files_.file("postpone-supervisor"));
  std::filesystem::copy_file(installed.parent_path() / "postpone-subworker",
                             files_.file("postpone-subworker"));
  std::filesystem::permissions(files_.file("postpone-subworker"), std::filesystem::perms(0711));
  Family family(
      database_.url(), group("q", kTestTasks, 1),
      {.environment = {{"POSTPONE_DUMPABLE", "1"}},
       .program =
           wrapper("exec " + in_one_line(as_user(owner_of_server(), {files_.file("postpone-supervisor")})))});
  family.wait_until_ready(1);
  const auto id = append("q", "file");
  ASSERT_TRUE(eventually([&] { return status(id) == "succeeded"; })) << family.log();
  const auto may_read = [](pid_t pid) {
    const std::string file = "/proc/" + std::to_string(pid) + "/environ";
    return run_program(as_user(owner_of_server(), {"cat", file})).exit_status == 0;
  };
  EXPECT_TRUE(may_read(family.processes("postpone: supervisor").at(0)));
  EXPECT_FALSE(may_read(family.processes("postpone: sub-worker").at(0)));
  EXPECT_FALSE(may_read(family.processes("postpone: housekeeper").at(0)));
  EXPECT_GE(oom_score(family.processes(kTestTasks).at(0)),
            oom_score(family.processes("postpone: sub-worker").at(0)) + 100);
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

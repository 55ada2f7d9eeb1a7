// A supervisor under a service manager: what it says over NOTIFY_SOCKET, and when it falls silent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/notify_socket.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

class Service : public testing::Test {
 protected:
  FamilyOptions managed(const std::string& watchdog_usec = "") const {
    FamilyOptions options;
    options.environment = {{"NOTIFY_SOCKET", files_.file("notify")}};
    if (!watchdog_usec.empty()) options.environment.emplace_back("WATCHDOG_USEC", watchdog_usec);
    return options;
  }

  TestDatabase database_;
  TemporaryDirectory files_;
  NotifySocket socket_{files_.file("notify")};
};

TEST_F(Service, IsReadyWhenJobsCanBeRunAndSaysHowItGoes) {
  Family family(database_.url(), group("m", kMisbehave, 2), managed());
  EXPECT_THAT(socket_.until("STATUS=waiting for the preflight, 0 sub-workers"),
              HasSubstr("EXTEND_TIMEOUT_USEC="));
  EXPECT_NE(socket_.until("READY=1"), "");
  const auto id = database_.execute("SELECT postpone_defer('misbehave.noop', queue => 'm')");
  EXPECT_TRUE(eventually([&] {
    return database_.execute("SELECT status FROM procrastinate_jobs WHERE id = " + id) == "succeeded";
  }));
  family.signal(SIGTSTP);
  EXPECT_NE(socket_.until("STATUS=paused, 2 sub-workers"), "");
  family.signal(SIGCONT);
  EXPECT_NE(socket_.until("STATUS=working, 2 sub-workers"), "");
  EXPECT_EQ(family.stop().code, 0);
  EXPECT_THAT(socket_.until("STOPPING=1"),
              AllOf(HasSubstr("EXTEND_TIMEOUT_USEC="), HasSubstr("STATUS=draining")));
}

// Whose database is away waits, and is not taken for a failure; and it is not ready.
TEST_F(Service, IsNotReadyWithoutItsDatabase) {
  Family family("host=/nonexistent dbname=x", group("m", kMisbehave, 1), managed());
  ASSERT_TRUE(
      eventually([&] { return family.log().find("trying again until it goes well") != std::string::npos; }));
  while (const auto datagram = socket_.next(0ms)) EXPECT_FALSE(has_line(*datagram, "READY=1")) << *datagram;
  EXPECT_EQ(family.stop().code, 0);
}

// A task executable that can describe itself and then cannot serve.
TEST_F(Service, IsNotReadyWhileAGroupHasNobodyToServeIt) {
  const std::string lame = files_.file("lame");
  std::ofstream(lame) << "#!/bin/sh\n[ \"$1\" = --describe ] || exit 1\nexec " << kMisbehave << " \"$@\"\n";
  std::filesystem::permissions(lame, std::filesystem::perms::owner_all);
  Family family(database_.url(), group("m", kMisbehave, 1) + group("lame", lame, 1), managed());
  EXPECT_NE(socket_.until("STATUS=degraded (1 do not get ready), working, 2 sub-workers"), "");
  EXPECT_THAT(family.log(), HasSubstr("sub-worker m/0 (pid"));
  socket_.forget();
  std::filesystem::remove(lame);
  std::filesystem::create_symlink(kMisbehave, lame);
  EXPECT_NE(socket_.until("READY=1"), "") << "mended";
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Service, FeedsTheWatchdogUntilItHangs) {
  Family family(database_.url(), group("m", kMisbehave, 1), managed("400000"));
  EXPECT_NE(socket_.until("READY=1"), "");
  // Quiet hours: what comes now comes from the timer.
  for (int i = 0; i < 5; ++i) EXPECT_NE(socket_.until("WATCHDOG=1"), "");
  family.signal(SIGSTOP);
  ASSERT_TRUE(eventually([&] {
    return read_file("/proc/" + std::to_string(family.pid()) + "/stat").find(") T ") != std::string::npos;
  }));
  socket_.forget();
  EXPECT_EQ(socket_.next(1s), std::nullopt) << "who is stopped says nothing";
  family.signal(SIGCONT);
  EXPECT_NE(socket_.until("WATCHDOG=1"), "");
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Service, NoMemberOfTheFamilyCanSpeakInItsName) {
  Family family(database_.url(), group("t", kTestTasks, 1), managed("60000000"));
  EXPECT_NE(socket_.until("READY=1"), "");
  database_.execute("SELECT postpone_defer('test.surroundings', '{\"file\": \"" + files_.file("seen") +
                    "\"}', queue => 't')");
  ASSERT_TRUE(eventually([&] {
    return database_.execute(
               "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND task_name = "
               "'test.surroundings'") == "1";
  }));
  EXPECT_THAT(read_file(files_.file("seen")),
              AllOf(HasSubstr("PATH="), Not(HasSubstr("NOTIFY_SOCKET")), Not(HasSubstr("WATCHDOG_"))));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Service, AReloadIsFramed) {
  Family family(database_.url(), group("m", kMisbehave, 1), managed());
  EXPECT_NE(socket_.until("READY=1"), "");
  family.rewrite("nonsense");
  family.signal(SIGHUP);
  EXPECT_THAT(socket_.until("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
  EXPECT_NE(socket_.until("READY=1"), "") << "a bad file too is done with";
  family.rewrite(group("m", kMisbehave, 2));
  family.signal(SIGHUP);
  EXPECT_NE(socket_.until("RELOADING=1"), "");
  EXPECT_NE(socket_.until("READY=1"), "");
  EXPECT_EQ(family.stop().code, 0);
}

}  // namespace
}  // namespace postpone::tests

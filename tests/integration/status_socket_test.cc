// The file of the status socket: its mode, who owns it, and what stood there before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "sys/fd.h"
#include "tests/integration/status_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;

TEST_F(Status, TheSocketHasItsMode) {
  Family family(database_.url(), section("mode = \"0600\"\n") + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  struct stat found {};
  ASSERT_EQ(::stat(path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600U);
}

TEST_F(Status, AStaleSocketIsReplaced) {
  {
    Family family(database_.url(), section() + group("m", kMisbehave, 1));
    family.wait_until_ready(1);
    family.signal(SIGKILL);
    family.wait();
    ASSERT_EQ(::access(path().c_str(), F_OK), 0);
  }
  Family family(database_.url(), section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
}

TEST_F(Status, ASocketThatSomebodyRemovesComesBack) {
  Family family(database_.url(), section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  std::filesystem::remove(path());
  EXPECT_TRUE(eventually([&] { return curl("/healthz").exit_status == 0; }));
  EXPECT_THAT(family.log(), HasSubstr("had been removed, and was made again"));
}

TEST_F(Status, ASecondSupervisorDoesNotStartAndTheFirstGoesOn) {
  Family first(database_.url(), section() + group("m", kMisbehave, 1));
  first.wait_until_ready(1);
  Family second(database_.url(), section() + group("m", kMisbehave, 1));
  EXPECT_EQ(second.wait().code, 1);
  EXPECT_THAT(second.log(),
              HasSubstr("status socket " + path() + ": another supervisor (pid " +
                        std::to_string(first.pid()) + ") has it; give each its own path in [status] socket"));
  EXPECT_EQ(status()["supervisor"]["pid"], first.pid());
}

TEST_F(Status, WhatIsNotOursIsLeftAlone) {
  const auto refusal = [&](int code = 1) {
    Family family(database_.url(), section() + group("m", kMisbehave, 1));
    EXPECT_EQ(family.wait().code, code);
    return family.log();
  };
  std::ofstream(path()) << "precious";
  EXPECT_THAT(refusal(3), HasSubstr("a file that is no socket lies there; remove it or choose another path"));
  EXPECT_EQ(read_file(path()), "precious");
  ::unlink(path().c_str());
  const sys::Fd other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path().data(), path().size());
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  EXPECT_THAT(refusal(), HasSubstr("another program listens there; choose another path"));
  EXPECT_EQ(::access(path().c_str(), F_OK), 0);
  ::unlink(path().c_str());
  const sys::Fd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(datagrams.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(refusal(), HasSubstr("another program listens there; choose another path"));
  EXPECT_EQ(::access(path().c_str(), F_OK), 0);
  ::unlink(path().c_str());
  std::ofstream(path() + ".lock") << "[[package]]\nname = \"precious\"\n";
  EXPECT_THAT(refusal(3), HasSubstr(".lock is no lock file of a supervisor's"));
  EXPECT_THAT(read_file(path() + ".lock"), HasSubstr("precious"));
}

TEST_F(Status, ADirectoryThatIsNotThereIsNamed) {
  Family family(database_.url(),
                "[status]\nsocket = \"" + files_.file("no/status.sock") + "\"\n" + group("m", kMisbehave, 1));
  EXPECT_EQ(family.wait().code, 3);
  EXPECT_THAT(family.log(), HasSubstr("\"socket\" in [status]: there is no directory " + files_.file("no")));
}

}  // namespace
}  // namespace postpone::tests

#include "sys/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/support/files.h"
#include "tests/support/notify_socket.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::NotifySocket;

// A test case is a process of its own, so its environment is nobody else's.
class ServiceManagerOf : public testing::Test {
 protected:
  static ServiceManager environment(const std::string& socket, const std::string& usec = "",
                                    const std::string& pid = "") {
    set("NOTIFY_SOCKET", socket);
    set("WATCHDOG_USEC", usec);
    set("WATCHDOG_PID", pid);
    return ServiceManager::from_environment();
  }
  std::string path() const { return directory_.file("notify"); }

 private:
  static void set(const char* name, const std::string& value) {
    if (value.empty())
      ::unsetenv(name);
    else
      ::setenv(name, value.c_str(), 1);
  }
  tests::TemporaryDirectory directory_;
};

TEST_F(ServiceManagerOf, APathIsTold) {
  const NotifySocket socket(path());
  const auto manager = environment(path());
  EXPECT_TRUE(manager.tell("READY=1\nSTATUS=at work\n"));
  EXPECT_EQ(socket.next(0ms), "READY=1\nSTATUS=at work\n");
}

TEST_F(ServiceManagerOf, AnAbstractSocketIsTold) {
  const std::string address = "@postpone-test-" + std::to_string(::getpid());
  const NotifySocket socket(address);
  EXPECT_TRUE(environment(address).tell("READY=1"));
  EXPECT_EQ(socket.next(0ms), "READY=1");
}

TEST_F(ServiceManagerOf, NoChildInheritsTheVariables) {
  const NotifySocket socket(path());
  const auto manager = environment(path(), "1000000", std::to_string(::getpid()));
  EXPECT_TRUE(manager.listens());
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    EXPECT_EQ(std::getenv(name), nullptr);
}

TEST_F(ServiceManagerOf, WithoutOneEverythingIsToldToNobody) {
  const auto manager = environment("");
  EXPECT_FALSE(manager.listens());
  EXPECT_TRUE(manager.tell("READY=1"));
  EXPECT_THAT(manager.problem(), IsEmpty());
}

TEST_F(ServiceManagerOf, TheWatchdogOfAnotherProcessIsNotOurs) {
  const NotifySocket socket(path());
  EXPECT_EQ(environment(path(), "3000000", std::to_string(::getpid())).watchdog(), 3s);
  EXPECT_EQ(environment(path(), "3000000").watchdog(), 3s);
  EXPECT_EQ(environment(path(), "3000000", "1").watchdog(), std::nullopt);
  EXPECT_EQ(environment("", "3000000").watchdog(), std::nullopt);
}

TEST_F(ServiceManagerOf, WhatMakesNoSenseIsSaidAndHarmsNothing) {
  const NotifySocket socket(path());
  EXPECT_THAT(environment("vsock:2:1234").problem(), HasSubstr("vsock:2:1234"));
  EXPECT_THAT(environment("/" + std::string(200, 'x')).problem(), HasSubstr("longer"));
  const auto manager = environment(path(), "soon");
  EXPECT_THAT(manager.problem(), HasSubstr("\"soon\""));
  EXPECT_EQ(manager.watchdog(), std::nullopt);
  EXPECT_TRUE(manager.listens());
}

TEST_F(ServiceManagerOf, AManagerThatHasGoneBlocksNobody) {
  auto socket = std::make_unique<NotifySocket>(path());
  const auto manager = environment(path());
  socket.reset();
  EXPECT_FALSE(manager.tell("WATCHDOG=1"));
}

TEST_F(ServiceManagerOf, AManagerThatDoesNotReadBlocksNobody) {
  const NotifySocket socket(path());
  const auto manager = environment(path());
  bool sent = true;
  for (int i = 0; i < 100'000 && sent; ++i) sent = manager.tell("WATCHDOG=1");
  EXPECT_FALSE(sent) << "its queue ends somewhere";
}

}  // namespace
}  // namespace postpone::sys

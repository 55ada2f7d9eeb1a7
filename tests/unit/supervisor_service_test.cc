#include "supervisor/service_notifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/files.h"
#include "tests/support/notify_socket.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

// With a watchdog of ten seconds, and a clock that moves when it is told to.
class ServiceTold : public testing::Test {
 protected:
  ServiceTold() : socket_(directory_.file("notify")) {
    ::setenv("NOTIFY_SOCKET", directory_.file("notify").c_str(), 1);
    ::setenv("WATCHDOG_USEC", "10000000", 1);
    manager_ = sys::ServiceManager::from_environment();
  }
  // What is sent for this picture; empty = nothing.
  std::string said(const ServiceNotifier::Picture& picture, ServiceNotifier::Clock::duration at) {
    service_.tell(picture, start_ + at);
    return socket_.next(0ms).value_or("");
  }
  ServiceNotifier::Clock::time_point after(ServiceNotifier::Clock::duration time) const {
    return start_ + time;
  }

  tests::TemporaryDirectory directory_;
  tests::NotifySocket socket_;
  sys::ServiceManager manager_;
  ServiceNotifier service_{manager_};
  ServiceNotifier::Clock::time_point start_ = ServiceNotifier::Clock::now();
};

TEST_F(ServiceTold, PatienceIsAskedForUntilItIsReady) {
  EXPECT_THAT(said({.words = "waiting"}, 0s), HasSubstr("EXTEND_TIMEOUT_USEC=60000000\n"));
  EXPECT_THAT(said({.words = "waiting"}, 9s), Not(HasSubstr("EXTEND")));
  EXPECT_THAT(said({.words = "waiting"}, 10s), HasSubstr("EXTEND_TIMEOUT_USEC="));
  EXPECT_THAT(said({.ready = true, .words = "working"}, 11s), HasSubstr("READY=1\nSTATUS=working\n"));
  EXPECT_THAT(said({.ready = true, .words = "working"}, 60s), Not(HasSubstr("EXTEND")));
}

TEST_F(ServiceTold, ReadyIsSaidOnceAndWordsWhenTheyChange) {
  EXPECT_THAT(said({.ready = true, .words = "working"}, 0s), HasSubstr("READY=1"));
  EXPECT_EQ(said({.ready = true, .words = "working"}, 1s), "");
  EXPECT_EQ(said({.ready = true, .words = "paused"}, 2s), "STATUS=paused\n");
}

TEST_F(ServiceTold, TheWatchdogIsFedAtHalfTime) {
  EXPECT_THAT(said({.ready = true, .words = "working"}, 0s), HasSubstr("WATCHDOG=1"));
  EXPECT_EQ(service_.next(), after(5s));
  EXPECT_EQ(said({.ready = true, .words = "working"}, 4999ms), "");
  EXPECT_EQ(said({.ready = true, .words = "working"}, 5s), "WATCHDOG=1\n");
  EXPECT_EQ(service_.next(), after(10s));
}

TEST_F(ServiceTold, TheWatchdogIsFedBeforeWhatMayKeepTheLoop) {
  said({.ready = true, .words = "working"}, 0s);
  service_.feed_watchdog(after(4s));
  EXPECT_EQ(socket_.next(0ms), "WATCHDOG=1\n");
  EXPECT_EQ(service_.next(), after(9s));
}

TEST_F(ServiceTold, StoppingComesWithTheTimeItMayTake) {
  said({.ready = true, .words = "working"}, 0s);
  const ServiceNotifier::Picture draining{
      .ready = true, .stopping = true, .stopped_by = after(100s), .words = "draining"};
  EXPECT_EQ(said(draining, 1s), "STOPPING=1\nEXTEND_TIMEOUT_USEC=109000000\nSTATUS=draining\n");
  EXPECT_EQ(said(draining, 2s), "");
}

TEST_F(ServiceTold, AReloadIsFramed) {
  said({.ready = true, .words = "working"}, 0s);
  service_.reloading();
  EXPECT_THAT(socket_.next(0ms).value_or(""), testing::MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+\n"));
  EXPECT_EQ(said({.ready = true, .words = "checking"}, 1s),
            "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=checking\n");
  EXPECT_EQ(said({.ready = true, .words = "checking"}, 3s), "");
  EXPECT_THAT(said({.ready = true, .words = "checking"}, 11s), HasSubstr("EXTEND_TIMEOUT_USEC=60000000\n"))
      << "it may wait for the database";
  service_.reloaded();
  EXPECT_EQ(said({.ready = true, .words = "working"}, 12s), "READY=1\nSTATUS=working\n");
  EXPECT_EQ(said({.ready = true, .words = "working"}, 14s), "");
}

TEST_F(ServiceTold, AReloadBeforeItWasReadyDoesNotMakeItReady) {
  said({.words = "starting"}, 0s);
  service_.reloading();
  service_.reloaded();
  EXPECT_EQ(said({.words = "starting"}, 1s), "");
}

TEST_F(ServiceTold, WhatCouldNotBeSentIsSentLater) {
  while (manager_.tell("X=1")) {
  }
  service_.tell({.ready = true, .words = "working"}, after(0s));
  socket_.forget();
  EXPECT_THAT(said({.ready = true, .words = "working"}, 1s), HasSubstr("READY=1"));
}

}  // namespace
}  // namespace postpone::supervisor

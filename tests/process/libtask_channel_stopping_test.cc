// Jobs that are asked to stop, through the channel or by a signal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <stdexcept>

#include "libtask/wire/frame.h"
#include "tests/process/channel_fixture.h"

namespace libtask {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::ResultStatus;

TEST_P(Channel, AbortReachesTheJobItIsMeantFor) {
  Served served(misbehave());
  served.welcome();
  served.start("misbehave.wait");
  served.send_frame(wire::Abort{.job_id = served.last_job + 1, .reason = wire::Abort::Reason::shutdown});
  served.send_frame(wire::Abort{.job_id = served.last_job, .reason = wire::Abort::Reason::requested});
  const auto result = served.receive_a<wire::Result>();
  EXPECT_EQ(result.status, ResultStatus::aborted);
  EXPECT_EQ(result.message, "aborted on request");
}

TEST_P(Channel, AbortThatComesTooLateIsIgnored) {
  Served served(misbehave());
  served.welcome();
  served.run("misbehave.noop");
  served.send_frame(wire::Abort{.job_id = served.last_job});
  EXPECT_EQ(served.run("misbehave.wait", R"({"ms": 1})").status, ResultStatus::succeeded);
}

TEST_P(Channel, RunningJobLearnsThatTheSubWorkerIsGone) {
  Served served(misbehave());
  served.welcome();
  served.start("misbehave.wait");
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_THAT(served.errors, HasSubstr("cannot write to the channel"));
}

// Signals until there is a result: one that comes before the job does is forgotten when the job begins.
TEST_P(Channel, TerminationSignalAsksTheJobToStop) {
  Served served(misbehave());
  served.welcome();
  served.start("misbehave.wait");
  std::optional<wire::Frame> frame;
  const auto until = std::chrono::steady_clock::now() + kGenerous;
  while (!frame && std::chrono::steady_clock::now() < until) {
    served.process.signal(SIGTERM);
    try {
      frame = served.receive(20ms);
    } catch (const std::runtime_error&) {  // not yet
    }
  }
  ASSERT_TRUE(frame);
  EXPECT_EQ(std::get<wire::Result>(*frame).message, "stopped because its process had to end");
}

TEST_P(Channel, SignalsBetweenJobsAndFromTheTerminalChangeNothing) {
  Served served(misbehave());
  served.welcome();
  served.run("misbehave.noop");
  served.process.signal(SIGTERM);
  served.process.signal(SIGINT);
  EXPECT_EQ(served.run("misbehave.wait", R"({"ms": 1})").status, ResultStatus::succeeded);
}

}  // namespace
}  // namespace libtask

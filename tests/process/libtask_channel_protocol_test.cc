// How a task process and its sub-worker begin and end, and what each makes of words that are out of place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <optional>

#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"
#include "sys/process.h"
#include "tests/process/channel_fixture.h"

namespace libtask {
namespace {

using postpone::sys::ExitReport;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::ResultStatus;

TEST(Channel, TaskProcessSaysHelloAndWhatItHas) {
  Served served(kMisbehave);
  const wire::Hello hello = served.welcome();
  EXPECT_EQ(hello.protocol_version, wire::kProtocolVersion);
  EXPECT_EQ(hello.libtask_version, POSTPONE_VERSION);
  const wire::Description description = wire::parse_description(hello.description);
  ASSERT_NE(description.find("misbehave.once"), nullptr);
  EXPECT_EQ(description.find("misbehave.once")->retry->max_attempts, 1);
}

TEST(Channel, ClosedChannelIsTheWordToGo) {
  Served served(kMisbehave);
  served.welcome();
  EXPECT_EQ(served.run("misbehave.noop").status, ResultStatus::succeeded);
  served.close_channel();
  const ExitReport report = served.end();
  EXPECT_EQ(to_string(report), "exit status 0");
  EXPECT_THAT(served.errors, IsEmpty());
}

TEST(Channel, RefusedTaskProcessSaysWhyAndGoes) {
  Served served(kMisbehave);
  served.receive_a<wire::Hello>();
  served.send_frame(wire::Refuse{.reason = "its libtask is too old, build it again"});
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_EQ(served.errors,
            "libtask: the sub-worker refuses this task executable: its libtask is too old, build it again\n");
}

TEST(Channel, SubWorkerThatGoesBeforeItAnswersIsToldOf) {
  Served served(kMisbehave);
  served.receive_a<wire::Hello>();
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_THAT(served.errors, HasSubstr("closed the channel instead of answering the hello"));
}

TEST(Channel, ExitAndCrashEndTheProcess) {
  Served exits(kMisbehave);
  exits.welcome();
  exits.start("misbehave.exit", R"({"status": 7})");
  EXPECT_EQ(exits.receive(), std::nullopt);
  EXPECT_EQ(to_string(exits.end()), "exit status 7");

  Served crashes(kMisbehave);
  crashes.welcome();
  crashes.start("misbehave.segfault");
  EXPECT_EQ(crashes.receive(), std::nullopt);
  EXPECT_EQ(crashes.end().code, SIGSEGV);
}

TEST(Channel, HandlerThatClosesTheChannelIsTold) {
  Served served(kMisbehave);
  served.welcome();
  served.start("misbehave.close_channel");
  EXPECT_EQ(served.receive(), std::nullopt);
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_EQ(
      served.errors,
      "libtask: cannot write to the channel (descriptor 3, did a handler close it?): Bad file descriptor\n");
}

TEST(Channel, JunkFromAHandlerIsRecognised) {
  Served served(kMisbehave);
  served.welcome();
  served.start("misbehave.garble");
  EXPECT_THROW(served.receive(), wire::ProtocolError);
}

TEST(Channel, JunkFromTheSubWorkerEndsTheProcessWithAReason) {
  Served served(kMisbehave);
  served.welcome();
  served.send_bytes("this is no frame");
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_THAT(served.errors, HasSubstr("libtask: a frame has the length"));
}

TEST(Channel, FramesOutOfTurnEndTheProcessWithAReason) {
  Served idle(kMisbehave);
  idle.welcome();
  idle.send_frame(wire::Result{});
  EXPECT_EQ(to_string(idle.end()), "exit status 70");
  EXPECT_EQ(idle.errors, "libtask: the sub-worker sent a frame that only task processes send\n");

  Served busy(kMisbehave);
  busy.welcome();
  busy.start("misbehave.wait");
  busy.start("misbehave.noop");
  EXPECT_EQ(to_string(busy.end()), "exit status 70");
  EXPECT_EQ(busy.errors, "libtask: the sub-worker sent something else than abort while a job runs\n");
}

TEST(Channel, ChildThatReturnsFromAHandlerDoesNotSpeakForTheJob) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  served.start("channel.fork");
  EXPECT_EQ(served.receive_a<wire::Result>().status, ResultStatus::succeeded);
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
  EXPECT_EQ(served.errors,
            "libtask: a process that the handler of channel.fork forked came back from it; it must end with "
            "_exit()\n");
}

}  // namespace
}  // namespace libtask

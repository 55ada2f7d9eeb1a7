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

TEST_P(Channel, TaskProcessSaysHelloAndWhatItHas) {
  Served served(misbehave());
  const wire::Hello hello = served.welcome();
  EXPECT_EQ(hello.protocol_version, wire::kProtocolVersion);
  EXPECT_EQ(hello.libtask_version,
            GetParam() == Language::cpp ? POSTPONE_VERSION : "postpone_tasks.py 0.1.0");
  const wire::Description description = wire::parse_description(hello.description);
  ASSERT_NE(description.find("misbehave.once"), nullptr);
  EXPECT_EQ(description.find("misbehave.once")->retry->max_attempts, 1);
}

// libtask is older than no sub-worker that it may meet: it comes with one.
TEST(ChannelOfPython, WithoutALedgerItSpeaksTheFirstVersion) {
  Served served(postpone::tests::misbehave_in(Language::python), Served::Ledger::absent);
  const wire::Hello hello = served.welcome();
  EXPECT_EQ(hello.protocol_version, 1);
  EXPECT_EQ(wire::parse_description(hello.description).protocol_version, 1);
  EXPECT_EQ(served.run("misbehave.noop").status, ResultStatus::succeeded);
}

TEST_P(Channel, ClosedChannelIsTheWordToGo) {
  Served served(misbehave());
  served.welcome();
  EXPECT_EQ(served.run("misbehave.noop").status, ResultStatus::succeeded);
  served.close_channel();
  const ExitReport report = served.end();
  EXPECT_EQ(to_string(report), "exit status 0");
  EXPECT_THAT(served.errors, IsEmpty());
}

TEST_P(Channel, RefusedTaskProcessSaysWhyAndGoes) {
  Served served(misbehave());
  served.receive_a<wire::Hello>();
  served.send_frame(wire::Refuse{.reason = "its libtask is too old, build it again"});
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_EQ(served.errors,
            said("the sub-worker refuses this task executable: its libtask is too old, build it again"));
}

TEST_P(Channel, SubWorkerThatGoesBeforeItAnswersIsToldOf) {
  Served served(misbehave());
  served.receive_a<wire::Hello>();
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_THAT(served.errors, HasSubstr("closed the channel instead of answering the hello"));
}

TEST_P(Channel, ExitAndCrashEndTheProcess) {
  Served exits(misbehave());
  exits.welcome();
  exits.start("misbehave.exit", R"({"status": 7})");
  EXPECT_EQ(exits.receive(), std::nullopt);
  EXPECT_EQ(to_string(exits.end()), "exit status 7");

  Served crashes(misbehave());
  crashes.welcome();
  crashes.start("misbehave.segfault");
  EXPECT_EQ(crashes.receive(), std::nullopt);
  EXPECT_EQ(crashes.end().code, SIGSEGV);
}

TEST_P(Channel, HandlerThatClosesTheChannelIsTold) {
  Served served(misbehave());
  served.welcome();
  served.start("misbehave.close_channel");
  EXPECT_EQ(served.receive(), std::nullopt);
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_EQ(served.errors,
            said("cannot write to the channel (descriptor 3, did a handler close it?): Bad file descriptor"));
}

TEST_P(Channel, JunkFromAHandlerIsRecognised) {
  Served served(misbehave());
  served.welcome();
  served.start("misbehave.garble");
  EXPECT_THROW(served.receive(), wire::ProtocolError);
}

TEST_P(Channel, JunkFromTheSubWorkerEndsTheProcessWithAReason) {
  Served served(misbehave());
  served.welcome();
  served.send_bytes("this is no frame");
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_THAT(served.errors, HasSubstr(": a frame has the length"));
}

TEST_P(Channel, FramesOutOfTurnEndTheProcessWithAReason) {
  Served idle(misbehave());
  idle.welcome();
  idle.send_frame(wire::Result{});
  EXPECT_EQ(to_string(idle.end()), "exit status 70");
  EXPECT_EQ(idle.errors, said("the sub-worker sent a frame that only task processes send"));

  Served busy(misbehave());
  busy.welcome();
  busy.start("misbehave.wait");
  busy.start("misbehave.noop");
  EXPECT_EQ(to_string(busy.end()), "exit status 70");
  EXPECT_EQ(busy.errors, said("the sub-worker sent something else than abort while a job runs"));
}

TEST_P(Channel, ChildThatReturnsFromAHandlerDoesNotSpeakForTheJob) {
  Served served(channel_tasks());
  served.welcome();
  served.start("channel.fork");
  EXPECT_EQ(served.receive_a<wire::Result>().status, ResultStatus::succeeded);
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
  const std::string how = GetParam() == Language::cpp ? "_exit()" : "os._exit()";
  EXPECT_EQ(
      served.errors,
      said("a process that the handler of channel.fork forked came back from it; it must end with " + how));
}

}  // namespace
}  // namespace libtask

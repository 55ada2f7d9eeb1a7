// Jobs of a task process that is served through a channel: what they see, cost and leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"
#include "tests/process/channel_fixture.h"

namespace libtask {
namespace {

using namespace std::chrono_literals;
using wire::ResultStatus;

INSTANTIATE_TEST_SUITE_P(, Channel, testing::ValuesIn(postpone::tests::kLanguages));

TEST_P(Channel, OneProcessServesManyJobs) {
  Served served(misbehave());
  served.welcome();
  for (int i = 1; i <= 500; ++i) {
    const wire::Result result = served.run("misbehave.noop");
    ASSERT_EQ(result.job_id, i);
    ASSERT_EQ(result.status, ResultStatus::succeeded);
  }
}

TEST_P(Channel, WhatAJobChangesInItsProcessIsPutBack) {
  Served served(channel_tasks());
  served.welcome();
  EXPECT_EQ(served.run("channel.show").status, ResultStatus::succeeded);
  const std::string before = served.output_so_far();
  EXPECT_EQ(served.run("channel.disturb").status, ResultStatus::succeeded);
  EXPECT_EQ(served.run("channel.show").status, ResultStatus::succeeded);
  EXPECT_EQ(served.output_so_far(), before + before);
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
}

TEST_P(Channel, ASignalThatAJobHasBlockedDoesNotEndIt) {
  Served served(channel_tasks());
  served.welcome();
  EXPECT_EQ(served.run("channel.pending", R"({"number": 14, "by_alarm": true})").status,
            ResultStatus::succeeded);
  for (const int signal_number : {SIGTERM, SIGUSR1, SIGTSTP, SIGINT, SIGPIPE, SIGRTMIN + 3})
    EXPECT_EQ(served
                  .run("channel.pending",
                       "{\"number\": " + std::to_string(signal_number) + ", \"by_alarm\": false}")
                  .status,
              ResultStatus::succeeded)
        << signal_number;
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
}

TEST_P(Channel, FailuresCostTheJobNotTheProcess) {
  Served served(misbehave());
  served.welcome();
  EXPECT_EQ(served.run("dishes.wash").status, ResultStatus::unknown_task);
  EXPECT_EQ(served.run("misbehave.exit", R"({"status": "x"})").message,
            "argument \"status\" of misbehave.exit: expected integer, got string \"x\"");
  const wire::Result thrown = served.run("misbehave.throw", R"({"message": "out of plates"})");
  EXPECT_EQ(thrown.status, ResultStatus::exception);
  EXPECT_EQ(thrown.exception_type, GetParam() == Language::cpp ? "std::runtime_error" : "RuntimeError");
  EXPECT_EQ(thrown.message, "out of plates");
  EXPECT_EQ(served.run("misbehave.noop").status, ResultStatus::succeeded);
}

TEST_P(Channel, UsageOfEachJobIsItsOwn) {
  Served served(misbehave());
  served.welcome();
  constexpr auto kHeavy = 64ULL * 1024 * 1024;
  // Also after jobs that were too short to look at the memory anew.
  for (int round = 0; round < 2; ++round) {
    const wire::Result heavy = served.run("misbehave.memory", R"({"mib": 64})");
    EXPECT_GT(heavy.max_rss_bytes, kHeavy) << "round " << round;
    EXPECT_GT(heavy.cpu_us, 0U);
    for (int i = 0; i < 10; ++i) {
      const wire::Result light = served.run("misbehave.noop");
      EXPECT_GT(light.max_rss_bytes, 0U);
      EXPECT_LT(light.max_rss_bytes, kHeavy);
    }
  }
}

TEST_P(Channel, IsNotGarbledByAskingForTheStackAllTheTime) {
  Served served(channel_tasks());
  const auto signal = wire::parse_description(served.welcome().description).stack_signal;
  if (GetParam() == Language::python) {
    EXPECT_FALSE(signal) << "addresses in an interpreter say nothing of the line of Python that it runs";
    return;
  }
  ASSERT_TRUE(signal);
  std::atomic<bool> done = false;
  std::thread asking([&] {
    for (; !done; std::this_thread::sleep_for(100us)) served.process.signal(*signal);
  });
  int stacks = 0;
  std::set<std::uint64_t> places;
  const auto deadline = std::chrono::steady_clock::now() + kGenerous;
  const auto enough = [&] { return stacks > 100 && places.size() > 5; };  // not always in the same place
  for (int job = 1; (job <= 200 || !enough()) && std::chrono::steady_clock::now() < deadline; ++job) {
    served.start("channel.toss", R"({"times": 300})");
    for (bool ended = false; !ended;) {
      const auto frame = served.receive();
      ASSERT_TRUE(frame) << "the channel was closed";
      if (const auto* stack = std::get_if<wire::Stack>(&*frame)) {
        EXPECT_EQ(stack->job_id, job) << "of this job, and before its result";
        EXPECT_EQ(stack->thread, served.process.pid());
        ASSERT_FALSE(stack->addresses.empty());
        places.insert(stack->addresses.front());
        ++stacks;
      } else if (const auto* result = std::get_if<wire::Result>(&*frame)) {
        EXPECT_EQ(result->status, ResultStatus::succeeded) << result->message;
        ended = true;
      }
    }
  }
  done = true;
  asking.join();
  EXPECT_TRUE(enough()) << stacks << " stacks from " << places.size() << " places";
  served.close_channel();
  EXPECT_EQ(served.end().code, 0) << served.errors;
}

TEST_P(Channel, ProgramsThatAHandlerStartsKnowNothingOfIt) {
  Served served(channel_tasks());
  served.welcome();
  const wire::Result result = served.run(
      "channel.shell", R"({"command": "test ! -e /proc/self/fd/3 && test -z \"$POSTPONE_TASK_CHANNEL\""})");
  EXPECT_EQ(result.status, ResultStatus::succeeded) << result.message;
}

TEST_P(Channel, HandlersReadNothingFromStdin) {
  Served served(channel_tasks());
  served.welcome();
  EXPECT_EQ(served.run("channel.shell", R"({"command": "test -z \"$(cat)\""})").status,
            ResultStatus::succeeded);
}

TEST_P(Channel, OutputIsThereBeforeTheResult) {
  Served served(channel_tasks());
  served.welcome();
  served.run("channel.write");
  EXPECT_EQ(served.output_so_far(), "from a stream and from C");
}

TEST(ChannelOfAnExample, WalkOverATreeDefersAJobForEachFile) {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(::testing::TempDir()) / ("walk-" + std::to_string(getpid()));
  fs::create_directories(root / "inner");
  std::ofstream(root / "inner" / "a file") << "text";
  fs::create_symlink("a file", root / "inner" / "a link");
  Served served(POSTPONE_EXAMPLES_DIR "/files");
  served.welcome();
  const wire::Result result =
      served.run("files.walk", R"({"root": ")" + root.string() + R"(", "target": "/tmp/x"})");
  fs::remove_all(root);
  ASSERT_EQ(result.defers.size(), 2U) << result.message;
  EXPECT_EQ(result.defers[0].task, "files.hash");
  EXPECT_EQ(result.defers[0].queue, "files");
  EXPECT_EQ(result.defers[0].args, R"({"path":")" + (root / "inner" / "a file").string() + "\"}");
  EXPECT_EQ(result.defers[1].task, "files.compress");
}

}  // namespace
}  // namespace libtask

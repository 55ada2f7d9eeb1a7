// Task executables served through a channel, with the test in the place of the sub-worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"
#include "sys/fd.h"
#include "sys/process.h"

namespace libtask {
namespace {

using namespace std::chrono_literals;
using postpone::sys::ExitReport;
using postpone::sys::Fd;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::ResultStatus;

constexpr auto kGenerous = 30s;

constexpr const char* kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
constexpr const char* kFiles = POSTPONE_EXAMPLES_DIR "/files";

bool readable_within(int fd, std::chrono::milliseconds limit) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, static_cast<int>(limit.count())) == 1;
}

std::string read_some(int fd) {
  std::array<char, 65536> bytes{};
  const ssize_t n = read(fd, bytes.data(), bytes.size());
  return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

std::string read_to_end(int fd) {
  std::string all;
  for (std::string part = read_some(fd); !part.empty(); part = read_some(fd)) all += part;
  return all;
}

// A task process and the sub-worker's end of what it holds.
class Served {
 public:
  explicit Served(const std::string& executable) {
    auto channel = postpone::sys::make_socketpair(SOCK_STREAM);
    auto out = postpone::sys::make_pipe();
    auto err = postpone::sys::make_pipe();
    process = postpone::sys::Process::spawn(
        {.executable = executable,
         .arguments = {},
         .environment = {{wire::kChannelVariable, "3"}, {"PATH", "/usr/bin:/bin"}},
         .descriptors = {
             {channel.second.get(), wire::kChannelFd}, {out.second.get(), 1}, {err.second.get(), 2}}});
    channel_ = std::move(channel.first);
    out_ = std::move(out.first);
    err_ = std::move(err.first);
  }

  void send_bytes(std::string_view bytes) {
    if (send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("the task process does not read");
    }
  }
  void send_frame(const wire::Frame& frame) { send_bytes(wire::encode(frame)); }

  // The next frame, nothing once the channel is closed. Throws when none comes within `limit`.
  std::optional<wire::Frame> receive(std::chrono::milliseconds limit = kGenerous) {
    while (true) {
      if (auto frame = decoder_.next()) return frame;
      if (!readable_within(channel_.get(), limit)) throw std::runtime_error("no frame came");
      const std::string bytes = read_some(channel_.get());
      if (bytes.empty()) return std::nullopt;
      decoder_.append(bytes);
    }
  }
  template <class T>
  T receive_a() {
    auto frame = receive();
    if (!frame) throw std::runtime_error("the channel was closed");
    return std::get<T>(std::move(*frame));
  }

  wire::Hello welcome() {
    auto hello = receive_a<wire::Hello>();
    send_frame(wire::Welcome{});
    return hello;
  }
  wire::Result run(const std::string& task, const std::string& args = "{}") {
    start(task, args);
    while (true) {
      auto frame = receive();
      if (!frame) throw std::runtime_error("the channel was closed");
      if (auto* result = std::get_if<wire::Result>(&*frame)) return std::move(*result);
    }
  }
  void start(const std::string& task, const std::string& args = "{}") {
    send_frame(wire::Run{.job_id = ++last_job, .task = task, .queue = "default", .args = args});
  }
  void close_channel() { channel_.reset(); }

  // How it ended, and all it had to say.
  ExitReport end() {
    const auto report = process.reap_within(kGenerous);
    if (!report) throw std::runtime_error("the task process does not end");
    errors = read_to_end(err_.get());
    output += read_to_end(out_.get());
    return *report;
  }
  // What is in the pipe of stdout by now.
  std::string output_so_far() {
    while (readable_within(out_.get(), 0ms)) output += read_some(out_.get());
    return output;
  }

  postpone::sys::Process process;
  std::int64_t last_job = 0;
  std::string output;
  std::string errors;

 private:
  Fd channel_;
  Fd out_;
  Fd err_;
  wire::Decoder decoder_;
};

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

TEST(Channel, OneProcessServesManyJobs) {
  Served served(kMisbehave);
  served.welcome();
  for (int i = 1; i <= 500; ++i) {
    const wire::Result result = served.run("misbehave.noop");
    ASSERT_EQ(result.job_id, i);
    ASSERT_EQ(result.status, ResultStatus::succeeded);
  }
}

TEST(Channel, WhatAJobChangesInItsProcessIsPutBack) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  EXPECT_EQ(served.run("channel.show").status, ResultStatus::succeeded);
  const std::string before = served.output_so_far();
  EXPECT_EQ(served.run("channel.disturb").status, ResultStatus::succeeded);
  EXPECT_EQ(served.run("channel.show").status, ResultStatus::succeeded);
  EXPECT_EQ(served.output_so_far(), before + before);
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
}

TEST(Channel, ASignalThatAJobHasBlockedDoesNotEndIt) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  EXPECT_EQ(served.run("channel.pending", R"({"signal": 14, "by_alarm": true})").status,
            ResultStatus::succeeded);
  for (const int signal_number : {SIGTERM, SIGUSR1, SIGTSTP, SIGINT, SIGPIPE, SIGRTMIN + 3})
    EXPECT_EQ(served
                  .run("channel.pending",
                       "{\"signal\": " + std::to_string(signal_number) + ", \"by_alarm\": false}")
                  .status,
              ResultStatus::succeeded)
        << signal_number;
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 0");
}

TEST(Channel, FailuresCostTheJobNotTheProcess) {
  Served served(kMisbehave);
  served.welcome();
  EXPECT_EQ(served.run("dishes.wash").status, ResultStatus::unknown_task);
  EXPECT_EQ(served.run("misbehave.exit", R"({"status": "x"})").message,
            "argument \"status\" of misbehave.exit: expected integer, got string \"x\"");
  const wire::Result thrown = served.run("misbehave.throw", R"({"message": "out of plates"})");
  EXPECT_EQ(thrown.status, ResultStatus::exception);
  EXPECT_EQ(thrown.exception_type, "std::runtime_error");
  EXPECT_EQ(thrown.message, "out of plates");
  EXPECT_EQ(served.run("misbehave.noop").status, ResultStatus::succeeded);
}

TEST(Channel, UsageOfEachJobIsItsOwn) {
  Served served(kMisbehave);
  served.welcome();
  const wire::Result result = served.run("misbehave.memory", R"({"mib": 64})");
  EXPECT_GT(result.max_rss_bytes, 64ULL * 1024 * 1024);
  EXPECT_GT(result.cpu_us, 0U);
}

TEST(Channel, IsNotGarbledByAskingForTheStackAllTheTime) {
  Served served(POSTPONE_CHANNEL_TASKS);
  const auto signal = wire::parse_description(served.welcome().description).stack_signal;
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

TEST(Channel, AbortReachesTheJobItIsMeantFor) {
  Served served(kMisbehave);
  served.welcome();
  served.start("misbehave.wait");
  served.send_frame(wire::Abort{.job_id = served.last_job + 1, .reason = wire::Abort::Reason::shutdown});
  served.send_frame(wire::Abort{.job_id = served.last_job, .reason = wire::Abort::Reason::requested});
  const auto result = served.receive_a<wire::Result>();
  EXPECT_EQ(result.status, ResultStatus::aborted);
  EXPECT_EQ(result.message, "aborted on request");
}

TEST(Channel, AbortThatComesTooLateIsIgnored) {
  Served served(kMisbehave);
  served.welcome();
  served.run("misbehave.noop");
  served.send_frame(wire::Abort{.job_id = served.last_job});
  EXPECT_EQ(served.run("misbehave.wait", R"({"ms": 1})").status, ResultStatus::succeeded);
}

TEST(Channel, RunningJobLearnsThatTheSubWorkerIsGone) {
  Served served(kMisbehave);
  served.welcome();
  served.start("misbehave.wait");
  served.close_channel();
  EXPECT_EQ(to_string(served.end()), "exit status 70");
  EXPECT_THAT(served.errors, HasSubstr("cannot write to the channel"));
}

// Signals until there is a result: one that comes before the job does is forgotten when the job begins.
TEST(Channel, TerminationSignalAsksTheJobToStop) {
  Served served(kMisbehave);
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

TEST(Channel, SignalsBetweenJobsAndFromTheTerminalChangeNothing) {
  Served served(kMisbehave);
  served.welcome();
  served.run("misbehave.noop");
  served.process.signal(SIGTERM);
  served.process.signal(SIGINT);
  EXPECT_EQ(served.run("misbehave.wait", R"({"ms": 1})").status, ResultStatus::succeeded);
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

TEST(Channel, ProgramsThatAHandlerStartsKnowNothingOfIt) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  const wire::Result result = served.run(
      "channel.shell", R"({"command": "test ! -e /proc/self/fd/3 && test -z \"$POSTPONE_TASK_CHANNEL\""})");
  EXPECT_EQ(result.status, ResultStatus::succeeded) << result.message;
}

TEST(Channel, HandlersReadNothingFromStdin) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  EXPECT_EQ(served.run("channel.shell", R"({"command": "test -z \"$(cat)\""})").status,
            ResultStatus::succeeded);
}

TEST(Channel, OutputIsThereBeforeTheResult) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  served.run("channel.write");
  EXPECT_EQ(served.output_so_far(), "from C++ and from C");
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

TEST(Channel, ProgressComesBeforeTheResult) {
  Served served(POSTPONE_CHANNEL_TASKS);
  served.welcome();
  served.start("channel.count", R"({"last": 1000})");
  const auto first = served.receive_a<wire::Progress>();
  EXPECT_EQ(first.job_id, served.last_job);
  EXPECT_EQ(first.done, 1U);
  EXPECT_EQ(first.total, 1000U);
}

TEST(Channel, WalkOverATreeDefersAJobForEachFile) {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(::testing::TempDir()) / ("walk-" + std::to_string(getpid()));
  fs::create_directories(root / "inner");
  std::ofstream(root / "inner" / "a file") << "text";
  fs::create_symlink("a file", root / "inner" / "a link");
  Served served(kFiles);
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

// <libtask/testing.h>, as an author uses it: one job, run in the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/json.h>
#include <libtask/testing.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;
using libtask::testing::Call;
using libtask::testing::Cause;
using libtask::testing::Clock;
using libtask::testing::Outcome;
using libtask::testing::Status;
using libtask::testing::TimePoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace lt = libtask::testing;

std::string in_words(const Outcome& outcome) {
  std::ostringstream stream;
  stream << outcome;
  return stream.str();
}

std::vector<std::string> texts(const Outcome& outcome) {
  std::vector<std::string> lines;
  for (const lt::LogLine& line : outcome.log) lines.push_back(line.stream + ": " + line.text);
  return lines;
}

TEST(RunInATest, ArgumentsMayBeNamesAndValuesTextOrJson) {
  libtask::App app;
  std::string washed;
  app.task("dishes.wash",
           [&](const std::string& dish, int times) { washed += dish + std::to_string(times) + ' '; },
           {"dish", "times"});
  const nlohmann::json json = {{"dish", "bowl"}, {"times", 3}};
  const std::string text = R"({"dish": "fork", "times": 4})";
  lt::run(app, "dishes.wash", {{"dish", "plate"}, {"times", 1}});
  lt::run(app, "dishes.wash", R"({"dish": "cup", "times": 2})");
  lt::run(app, "dishes.wash", json);
  lt::run(app, "dishes.wash", text, {.attempt = 2});
  lt::run(app, Call("dishes.wash", {{"dish", "pan"}, {"times", 5}}));
  lt::run(app, {"dishes.wash", {{"dish", "pot"}, {"times", 6}}}, {.attempt = 2});
  EXPECT_EQ(washed, "plate1 cup2 bowl3 fork4 pan5 pot6 ");
  EXPECT_THROW(lt::run(app, "dishes.wash", "{"), std::invalid_argument);
}

// What a client defers.
struct NewJob {
  std::string task() const { return "dishes.wash"; }
  const libtask::Args& args() const { return arguments; }
  libtask::Args arguments;
};

TEST(RunInATest, AJobThatAClientWouldDeferIsACall) {
  libtask::App app;
  std::string washed;
  app.task("dishes.wash", [&](const std::string& dish) { washed = dish; }, {"dish"});
  lt::run(app, NewJob{{{"dish", "plate"}}}, {.attempt = 2});
  EXPECT_EQ(washed, "plate");
}

TEST(RunInATest, ArgumentsAreReadAsStrictlyAsInATaskProcess) {
  libtask::App app;
  app.task("dishes.wash", [](int) {}, {"times"}).retry({});
  const Outcome outcome = lt::run(app, "dishes.wash", {{"times", "x"}});
  EXPECT_EQ(outcome.status, Status::failed);
  EXPECT_EQ(outcome.cause, Cause::bad_arguments);
  EXPECT_EQ(outcome.message, "argument \"times\" of dishes.wash: expected integer, got string \"x\"");
  EXPECT_EQ(outcome.exception, std::nullopt);
}

TEST(RunInATest, TheHandlerSeesTheJobThatTheTestDescribes) {
  libtask::App app;
  std::string seen;
  const auto look = [&](libtask::Context& job) {
    seen = std::to_string(job.id()) + ' ' + std::to_string(job.attempt()) + ' ' + job.queue() + ' ' +
           std::to_string(job.priority()) + ' ' + job.lock();
  };
  app.task("look", look).queue("kitchen").priority(5).lock("sink");
  lt::run(app, "look");
  EXPECT_EQ(seen, "1 1 kitchen 5 sink");
  lt::run(app, "look", {}, {.id = 17, .attempt = 3, .queue = "cellar", .priority = -1, .lock = ""});
  EXPECT_EQ(seen, "17 3 cellar -1 ");
}

TEST(RunInATest, ExceptionIsToldWithWhatFollowsFromIt) {
  libtask::App app;
  app.task("final", [] { throw std::runtime_error("no towel"); });
  app.task("again", [] { throw std::system_error(ENOSPC, std::generic_category()); })
      .retry({.max_attempts = 2,
              .exponential_wait = 2s,
              .on = libtask::exceptions<std::system_error>(),
              .queue = "slow"});
  app.task("picky", [] { throw std::runtime_error("no towel"); })
      .retry({.on = libtask::exceptions<std::system_error>()});
  const Outcome final = lt::run(app, "final");
  EXPECT_EQ(final.status, Status::failed);
  EXPECT_EQ(final.exception->type, "std::runtime_error");
  EXPECT_EQ(final.exception->message, "no towel");
  EXPECT_EQ(in_words(final), "failed (exception): std::runtime_error: no towel");

  Clock clock(TimePoint(1000s));
  const Outcome again = lt::run(app, "again", {}, {.attempt = 2, .clock = &clock});
  EXPECT_EQ(again.status, Status::todo);
  EXPECT_EQ(again.retry->in, 4s);
  EXPECT_EQ(again.retry->at, TimePoint(1004s));
  EXPECT_EQ(again.retry->queue, "slow");
  EXPECT_EQ(in_words(again), "todo (exception): std::system_error: No space left on device; retry in 4 s");
  EXPECT_EQ(lt::run(app, "again", {}, {.attempt = 3}).status, Status::failed);
  EXPECT_EQ(lt::run(app, "picky").status, Status::failed);
}

TEST(RunInATest, RetryThatTheHandlerAsksForNeedsNoStrategy) {
  libtask::App app;
  app.task("busy", [] { throw libtask::Retry{90s, "the sink is busy"}; });
  const Outcome outcome = lt::run(app, "busy");
  EXPECT_EQ(outcome.retry->in, 90s);
  EXPECT_EQ(outcome.exception->type, "libtask::Retry");
  EXPECT_EQ(outcome.message, "the sink is busy");
}

TEST(RunInATest, DeferredJobsAreThereAfterASuccessOnly) {
  libtask::App app;
  app.task("mail.send", [](libtask::Context&) {}).queue("mail").priority(2).queueing_lock("once");
  app.task("order", [](libtask::Context& job) {
    job.defer("mail.send", {{"to", "ann"}}, {.lock = "ann", .delay = 10min});
    if (job.attempt() == 2) throw std::runtime_error("after all");
  });
  const Outcome outcome = lt::run(app, "order");
  ASSERT_THAT(outcome.defers, SizeIs(1));
  const lt::Deferred& mail = outcome.defers.front();
  EXPECT_EQ(mail.task + mail.args, R"(mail.send{"to":"ann"})");
  EXPECT_EQ(mail.queue, "mail");
  EXPECT_EQ(mail.priority, 2);
  EXPECT_EQ(mail.lock, "ann");
  EXPECT_EQ(mail.queueing_lock, "once");
  EXPECT_EQ(mail.delay, 10min);
  EXPECT_THAT(lt::run(app, "order", {}, {.attempt = 2}).defers, IsEmpty());
}

TEST(RunInATest, AbortComesAtTheLookThatTheTestNames) {
  libtask::App app;
  int pages = 0;
  app.task("report.build", [&](libtask::Context& job) {
    for (pages = 0; pages < 10; ++pages) {
      if (job.should_abort()) throw libtask::Aborted{};
      job.progress(static_cast<std::uint64_t>(pages) + 1, 10);
    }
  });
  const Outcome outcome = lt::run(app, "report.build", {}, {.abort_at_look = 4});
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(outcome.status, Status::aborted);
  EXPECT_EQ(outcome.cause, Cause::aborted);
  EXPECT_EQ(outcome.message, "aborted on request");
  EXPECT_EQ(outcome.progress->done, 3U);
  EXPECT_EQ(outcome.progress->total, 10U);

  const Outcome stopped =
      lt::run(app, "report.build", {}, {.abort_at_look = 1, .abort_reason = libtask::AbortReason::shutdown});
  EXPECT_EQ(stopped.status, Status::todo) << "its process has to end, and it runs again";
}

// As the database has it.
TEST(RunInATest, AJobThatSomebodyHasAskedToStopDoesNotWaitAgain) {
  libtask::App app;
  app.task("t",
           [](libtask::Context& job) {
             if (job.should_abort()) throw std::runtime_error("half done");
           })
      .retry({.max_attempts = 3});
  for (const auto& [reason, status] : {std::pair(libtask::AbortReason::requested, Status::failed),
                                       std::pair(libtask::AbortReason::time_limit, Status::todo)}) {
    const Outcome outcome = lt::run(app, {"t"}, {.abort_at_look = 1, .abort_reason = reason});
    EXPECT_EQ(outcome.status, status);
    EXPECT_EQ(outcome.retry.has_value(), status == Status::todo);
  }
}

TEST(RunInATest, TimePassesByTheClockOfTheTest) {
  libtask::App app;
  Clock clock;
  app.task("slow",
           [&](libtask::Context& job) {
             EXPECT_EQ(job.time_left(), 30s);
             clock.advance(20s);
             EXPECT_EQ(job.time_left(), 10s);
             if (job.should_abort()) return;
             clock.advance(20s);
             if (job.should_abort()) throw libtask::Aborted{};
           })
      .time_limit(30s)
      .retry({.wait = 5s});
  const Outcome limit = lt::run(app, "slow", {}, {.clock = &clock});
  EXPECT_EQ(limit.cause, Cause::timed_out);
  EXPECT_EQ(limit.retry->at, clock.now() + 5s);
  const Outcome asked = lt::run(app, "slow", {}, {.abort_after = 15s, .clock = &clock});
  EXPECT_EQ(asked.cause, Cause::aborted);
  EXPECT_EQ(asked.status, Status::aborted);
}

TEST(RunInATest, OutputIsToldAndStillArrives) {
  libtask::App app;
  app.task("talk", [] {
    std::cout << "washing\n";
    std::printf("rinsing\n");
    std::cerr << "no towel";
    [[maybe_unused]] const auto size = write(STDOUT_FILENO, "drying\n", 7);
  });
  ::testing::internal::CaptureStdout();
  const Outcome outcome = lt::run(app, "talk");
  EXPECT_EQ(::testing::internal::GetCapturedStdout().size(), sizeof "washing\nrinsing\ndrying\n" - 1);
  EXPECT_THAT(texts(outcome), ::testing::UnorderedElementsAre("stdout: washing", "stdout: rinsing",
                                                              "stdout: drying", "stderr: no towel"));
  EXPECT_THAT(lt::run(app, "talk", {}, {.capture_output = false}).log, IsEmpty());
}

TEST(RunInATest, UnknownTaskIsAnOutcomeThatNamesTheOthers) {
  libtask::App app;
  app.task("dishes.wash", [] {});
  const Outcome outcome = lt::run(app, "dishes.dry");
  EXPECT_EQ(outcome.cause, Cause::unknown_task);
  EXPECT_THAT(outcome.message, HasSubstr("it has: dishes.wash"));
}

TEST(RunInATest, RegistrationThatNoProgramWouldStartWithIsRefused) {
  libtask::App app;
  app.task("twice", [] {});
  app.task("twice", [] {}).time_limit(-1s);
  try {
    lt::run(app, "twice");
    FAIL();
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(error.what(),
                 "App::run() would refuse these tasks: task \"twice\": its time limit is not above 0; task "
                 "\"twice\": it is registered more than once");
  }
}

TEST(RunInATest, WhatTheHandlerGivesBackAndSaysIsInTheOutcome) {
  libtask::App app;
  app.task("give", [](libtask::Context& job) {
    job.progress(1, 2, "half");
    job.log(libtask::LogLevel::warning, "slow", {{"ms", 12}});
    job.defer("other");
    job.defer("bare", {}, {.meta = libtask::Args{}});
    job.result({{"meta", libtask::Args::from_text(job.meta())}});
  });
  const Outcome outcome = lt::run(app, "give", {}, {.meta = {{"tenant", "ann"}}});
  EXPECT_EQ(outcome.result, R"({"meta":{"tenant":"ann"}})");
  EXPECT_EQ(outcome.progress->note, "half");
  ASSERT_THAT(outcome.logs, SizeIs(1));
  EXPECT_EQ(outcome.logs[0].level, libtask::LogLevel::warning);
  EXPECT_EQ(outcome.logs[0].text, "slow");
  EXPECT_EQ(outcome.logs[0].fields, R"({"ms":12})");
  ASSERT_THAT(outcome.defers, SizeIs(2));
  EXPECT_EQ(outcome.defers[0].meta, std::nullopt);
  EXPECT_EQ(outcome.defers[1].meta, "{}");
}

TEST(RunInATest, WhatAFailedHandlerWouldHaveGivenBackIsGone) {
  libtask::App app;
  app.task("give", [](libtask::Context& job) {
    job.result(7);
    throw std::runtime_error("no towel");
  });
  EXPECT_EQ(lt::run(app, "give").result, std::nullopt);
}

TEST(RunInATest, AStopTokenIsStoppedByTheClockOfTheTest) {
  libtask::App app;
  Clock clock;
  app.task("wait",
           [&](libtask::Context& job) {
             const std::stop_token token = job.stop_token();
             clock.advance(1min);
             while (!token.stop_requested()) usleep(1000);
           })
      .time_limit(1min);
  EXPECT_EQ(lt::run(app, "wait", {}, {.clock = &clock}).cause, Cause::timed_out);
}

TEST(RunInATest, ARetryThatDoesNotCountSaysSoAndGoesByTheClockOfTheTest) {
  libtask::App app;
  Clock clock;
  app.task("wait",
           [&](libtask::Context& job) {
             job.retry_at(clock.now() + 5min, "closed", {.queue = "morning", .counts = false});
           })
      .retry({.max_attempts = 0});
  const Outcome outcome = lt::run(app, "wait", {}, {.clock = &clock});
  EXPECT_EQ(outcome.status, Status::todo);
  EXPECT_EQ(outcome.retry->in, 5min);
  EXPECT_EQ(outcome.retry->queue, "morning");
  EXPECT_FALSE(outcome.retry->counts);
}

TEST(RunInATest, WhatTheAppSetsUpIsThereAndGoesAfterwards) {
  libtask::App app;
  std::string story;
  app.set_up([&] { story += "up "; });
  app.tear_down([&] { story += "down"; });
  app.task("wash", [&] { story += "wash "; });
  lt::run(app, "wash");
  EXPECT_EQ(story, "up wash down");
  app.set_up([] { throw std::runtime_error("no water"); });
  EXPECT_THROW(lt::run(app, "wash"), std::runtime_error);
}

// A test of an abort() or exit() forks, and runs the handler there.
TEST(RunInATestDeathTest, AForkedTestMayRunHandlersToo) {
  libtask::App app;
  app.task("fine", [] {});
  app.task("exit", [] { std::exit(9); });
  EXPECT_EQ(lt::run(app, "fine").status, Status::succeeded);
  EXPECT_EXIT(lt::run(app, "exit", {}, {.capture_output = false}), ::testing::ExitedWithCode(9), "");
  EXPECT_EXIT(std::_Exit(lt::run(app, "fine").status == Status::succeeded ? 3 : 4),
              ::testing::ExitedWithCode(3), "");
}

}  // namespace

// How the end of a handler becomes a result, and what Context tells and collects on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <limits>
#include <system_error>
#include <thread>

#include "libtask/src/termination.h"
#include "libtask/src/usage_meter.h"
#include "libtask_fixture.h"

namespace libtask::detail {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::StartsWith;
using wire::ResultStatus;

struct SinkClogged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(Execute, HandlerThatReturnsHasSucceeded) {
  OneTask task([](Context&) {});
  const wire::Result result = task.run();
  EXPECT_EQ(result.job_id, 17);
  EXPECT_EQ(result.status, ResultStatus::succeeded);
  EXPECT_EQ(result.message, "");
}

TEST(Execute, ContextTellsAboutTheJob) {
  OneTask task([](Context& job) {
    EXPECT_EQ(job.id(), 17);
    EXPECT_EQ(job.attempt(), 3);
    EXPECT_EQ(job.task(), "dishes.wash");
    EXPECT_EQ(job.queue(), "kitchen");
    EXPECT_EQ(job.priority(), 9);
    EXPECT_EQ(job.lock(), "sink");
    EXPECT_EQ(job.args(), R"({"dish":"plate"})");
    EXPECT_EQ(job.time_left(), std::nullopt);
    EXPECT_FALSE(job.should_abort());
    EXPECT_EQ(job.abort_reason(), std::nullopt);
  });
  const wire::Result result = task.run(wire::Run{.job_id = 17,
                                                 .attempt = 3,
                                                 .task = "dishes.wash",
                                                 .queue = "kitchen",
                                                 .priority = 9,
                                                 .lock = "sink",
                                                 .args = R"({"dish":"plate"})"});
  EXPECT_EQ(result.status, ResultStatus::succeeded);
}

TEST(Execute, UnknownTaskIsToldWithThoseThatAreThere) {
  OneTask task([](Context&) {});
  const wire::Result result = task.run(wire::Run{.task = "dishes.dry"});
  EXPECT_EQ(result.status, ResultStatus::unknown_task);
  EXPECT_EQ(result.message, "this task executable has no task \"dishes.dry\"; it has: dishes.wash");
}

TEST(Execute, ExceptionIsToldWithTypeAndCauses) {
  OneTask task([](Context&) {
    try {
      try {
        throw std::system_error(std::make_error_code(std::errc::no_space_on_device));
      } catch (...) {
        std::throw_with_nested(SinkClogged("the sink is full"));
      }
    } catch (...) {
      std::throw_with_nested(std::logic_error("cannot wash"));
    }
  });
  const wire::Result result = task.run();
  EXPECT_EQ(result.status, ResultStatus::exception);
  EXPECT_EQ(result.exception_type, "std::logic_error");
  EXPECT_EQ(result.message,
            "cannot wash; caused by: libtask::detail::(anonymous namespace)::SinkClogged: the sink is full; "
            "caused by: std::system_error: No space left on device");
  EXPECT_TRUE(result.retryable);
  EXPECT_EQ(result.retry_in_us, std::nullopt);
}

TEST(Execute, ThingsThatAreNoStandardExceptionsAreNamedByType) {
  OneTask integer([](Context&) { throw 42; });
  EXPECT_EQ(integer.run().exception_type, "int");
  OneTask text([](Context&) { throw std::string("a text"); });
  EXPECT_EQ(text.run().exception_type, "std::string");
  EXPECT_EQ(text.run().message, "a text");
  OneTask literal([](Context&) { throw "a literal"; });
  EXPECT_EQ(literal.run().message, "a literal");
  OneTask file([](Context&) { std::filesystem::rename("/nowhere", "/nowhere else"); });
  EXPECT_EQ(file.run().exception_type, "std::filesystem::filesystem_error");
}

// what() is an author's function, and so may be wrong.
TEST(Execute, ExceptionWithoutATextIsNamedByTypeWhereverItIs) {
  struct Mute : std::exception {
    const char* what() const noexcept override { return nullptr; }
  };
  struct MuteRefusal : BadArguments {
    MuteRefusal() : BadArguments("") {}
    const char* what() const noexcept override { return nullptr; }
  };
  OneTask mute([](Context&) { throw Mute(); });
  EXPECT_THAT(mute.run().exception_type, EndsWith("Mute"));
  EXPECT_EQ(mute.run().message, "");
  OneTask nested([](Context&) {
    try {
      throw Mute();
    } catch (...) {
      std::throw_with_nested(std::logic_error("cannot wash"));
    }
  });
  EXPECT_THAT(nested.run().message, EndsWith("Mute"));
  OneTask refusal([](Context&) { throw MuteRefusal(); });
  EXPECT_EQ(refusal.run().status, ResultStatus::bad_arguments);
}

TEST(Execute, EndlessMessageIsCutBetweenCharacters) {
  OneTask task([](Context&) {
    std::string message = "x";
    for (int i = 0; i < 10'000; ++i) message += "ë";
    throw std::runtime_error(message);
  });
  const std::string message = task.run().message;
  EXPECT_LT(message.size(), 9000U);
  EXPECT_THAT(message, EndsWith("ë…"));
}

TEST(Execute, RetryOnlyOnTheExceptionsThatWereNamed) {
  OneTask task([](Context& job) {
    if (job.attempt() == 1) throw SinkClogged("derives from runtime_error");
    throw std::logic_error("does not");
  });
  task.task().retry = RetryOptions{.on = exceptions<std::runtime_error, std::bad_alloc>()};
  EXPECT_TRUE(task.run(wire::Run{.attempt = 1, .task = "dishes.wash"}).retryable);
  EXPECT_FALSE(task.run(wire::Run{.attempt = 2, .task = "dishes.wash"}).retryable);
}

TEST(Execute, HandlerMayAskForARetryAtATime) {
  OneTask task([](Context&) { throw Retry{1500ms, "the sink is busy"}; });
  const wire::Result result = task.run();
  EXPECT_EQ(result.status, ResultStatus::exception);
  EXPECT_EQ(result.exception_type, "libtask::Retry");
  EXPECT_EQ(result.message, "the sink is busy");
  EXPECT_EQ(result.retry_in_us, 1'500'000);
}

TEST(Execute, RetryTimesThatCannotBeAreBounded) {
  const auto asked = [](double seconds) {
    OneTask task([=](Context&) { throw Retry{std::chrono::duration<double>(seconds)}; });
    return task.run().retry_in_us;
  };
  EXPECT_EQ(asked(-1), 0);
  EXPECT_EQ(asked(std::numeric_limits<double>::quiet_NaN()), 0);
  EXPECT_EQ(asked(1e300), 3'155'760'000'000'000);
}

TEST(Execute, BadArgumentsOfALongHandlerAreToldAsSuch) {
  OneTask task([](Context&) { throw BadArguments("no such dish"); });
  EXPECT_EQ(task.run().status, ResultStatus::bad_arguments);
  EXPECT_EQ(task.run().message, "no such dish");
}

TEST(Execute, AbortedSaysWhy) {
  OneTask task([](Context& job) {
    if (job.should_abort()) throw Aborted{};
  });
  EXPECT_EQ(task.run().status, ResultStatus::succeeded);
  task.giver.wish = AbortReason::requested;
  EXPECT_EQ(task.run().status, ResultStatus::aborted);
  EXPECT_EQ(task.run().message, "aborted on request");
  EXPECT_EQ(task.run().abort_reason, wire::Abort::Reason::requested);
  task.giver.wish = AbortReason::shutdown;
  EXPECT_EQ(task.run().message, "stopped because its process had to end");
  EXPECT_EQ(task.run().abort_reason, wire::Abort::Reason::shutdown);
}

TEST(Execute, HandlerThatGivesUpByItselfWasToldNothing) {
  OneTask task([](Context&) { throw Aborted{}; });
  EXPECT_EQ(task.run().status, ResultStatus::aborted);
  EXPECT_EQ(task.run().abort_reason, std::nullopt);
}

TEST(Execute, HandlerThatSawTheWishAndReturnsHasStoppedEarly) {
  OneTask task([](Context& job) {
    job.defer("dishes.dry");
    EXPECT_TRUE(job.should_abort());
  });
  task.giver.wish = AbortReason::requested;
  const wire::Result result = task.run();
  EXPECT_EQ(result.status, ResultStatus::aborted);
  EXPECT_EQ(result.abort_reason, wire::Abort::Reason::requested);
  EXPECT_TRUE(result.defers.empty());
}

TEST(Execute, HandlerThatIsReadyBeforeItSeesTheWishSucceeds) {
  OneTask task([](Context&) {});
  task.giver.wish = AbortReason::requested;
  EXPECT_EQ(task.run().status, ResultStatus::succeeded);
}

TEST(Execute, TimeLimitShowsAsTimeLeftAndAsAbort) {
  OneTask task([](Context& job) {
    EXPECT_GT(*job.time_left(), -1min);
    while (!job.should_abort()) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(job.abort_reason(), AbortReason::time_limit);
    EXPECT_LE(*job.time_left(), 0ms);
    throw Aborted{};
  });
  const wire::Result result = task.run(wire::Run{.task = "dishes.wash", .time_limit_ms = 5});
  EXPECT_EQ(result.message, "stopped at its time limit");
  EXPECT_EQ(result.abort_reason, wire::Abort::Reason::time_limit);
}

TEST(Execute, TerminationSignalIsAWishToStop) {
  catch_termination_by_hand();
  OneTask task([](Context& job) {
    EXPECT_FALSE(job.should_abort());
    std::raise(SIGTERM);
    EXPECT_TRUE(job.should_abort());
    EXPECT_EQ(job.abort_reason(), AbortReason::shutdown);
  });
  task.run();
  EXPECT_EQ(termination_wish(), AbortReason::shutdown);
  forget_termination();
  EXPECT_EQ(termination_wish(), std::nullopt);
}

TEST(Execute, ProgressIsToldSparinglyAndTheLastWordAlways) {
  OneTask task([](Context& job) {
    for (std::uint64_t i = 1; i <= 100'000; ++i) job.progress(i, 100'000);
  });
  task.run();
  ASSERT_FALSE(task.giver.told.empty());
  EXPECT_EQ(task.giver.told.front().done, 1U);
  EXPECT_EQ(task.giver.told.back().done, 100'000U);
  EXPECT_EQ(task.giver.told.back().total, 100'000U);
  EXPECT_EQ(task.giver.told.back().job_id, 17);
  EXPECT_LT(task.giver.told.size(), 10'000U);
}

TEST(Execute, DeferredJobsComeWithSuccessOnly) {
  bool fail = false;
  OneTask task([&](Context& job) {
    job.defer("mail.send", {{"to", "me"}});
    if (fail) throw std::runtime_error("after all");
  });
  EXPECT_EQ(task.run().defers.size(), 1U);
  fail = true;
  EXPECT_EQ(task.run().defers.size(), 0U);
}

TEST(Execute, DeferredJobHasTheOptionsOfItsTask) {
  OneTask task([](Context& job) {
    job.defer("mail.send", {{"to", "me"}});
    job.defer("dishes.wash");
    job.defer("dishes.wash", {},
              {.queue = "cellar", .priority = 0, .lock = "", .queueing_lock = "twice", .delay = 2s});
  });
  task.task().queue = "kitchen";
  task.task().priority = 5;
  task.task().lock = "sink";
  task.task().queueing_lock = "once";
  const wire::Result result = task.run();
  ASSERT_EQ(result.defers.size(), 3U);
  EXPECT_EQ(result.defers[0].task, "mail.send");
  EXPECT_EQ(result.defers[0].args, R"({"to":"me"})");
  EXPECT_EQ(result.defers[0].queue, "default");
  EXPECT_EQ(result.defers[0].priority, 0);
  EXPECT_EQ(result.defers[0].lock, std::nullopt);
  EXPECT_EQ(result.defers[0].delay_us, 0);
  EXPECT_EQ(result.defers[1].args, "{}");
  EXPECT_EQ(result.defers[1].queue, "kitchen");
  EXPECT_EQ(result.defers[1].priority, 5);
  EXPECT_EQ(result.defers[1].lock, "sink");
  EXPECT_EQ(result.defers[1].queueing_lock, "once");
  EXPECT_EQ(result.defers[2].queue, "cellar");
  EXPECT_EQ(result.defers[2].priority, 0);
  EXPECT_EQ(result.defers[2].lock, std::nullopt);
  EXPECT_EQ(result.defers[2].queueing_lock, "twice");
  EXPECT_EQ(result.defers[2].delay_us, 2'000'000);
}

TEST(Execute, DefersThatCannotBeAreRefusedAtOnce) {
  OneTask task([](Context& job) {
    EXPECT_THROW(job.defer(""), std::invalid_argument);
    EXPECT_THROW(job.defer("t", {}, {.delay = -1us}), std::invalid_argument);
  });
  EXPECT_EQ(task.run().defers.size(), 0U);
}

TEST(Execute, DeferringMoreThanAFrameHoldsFailsWithAdvice) {
  OneTask task([](Context& job) {
    const Args large{{"text", std::string(1'000'000, 'x')}};
    for (int i = 0; i < 20; ++i) job.defer("mail.send", large);
  });
  const wire::Result result = task.run();
  EXPECT_EQ(result.exception_type, "std::length_error");
  EXPECT_THAT(result.message, StartsWith("job 17 defers more than 15 MiB (15 jobs so far)"));
}

TEST(Execute, UsageIsThatOfThisJobAlone) {
  OneTask greedy([](Context&) {
    const std::vector<char> held(64UL * 1024 * 1024, 'x');
    EXPECT_EQ(held.back(), 'x');
  });
  OneTask modest([](Context&) {});
  UsageMeter meter;
  greedy.run();
  const UsageMeter::Usage large = meter.end();
  modest.run();
  const UsageMeter::Usage small = meter.end();
  EXPECT_GT(large.max_rss_bytes, 64UL * 1024 * 1024);
  EXPECT_GT(large.cpu_us, 0U);
  EXPECT_GT(small.max_rss_bytes, 0U);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which keep freed memory for a while
  EXPECT_LT(small.max_rss_bytes, large.max_rss_bytes);
#endif
}

TEST(UsageMeter, AQuietJobTookTheProcessorForAsLongAsItRan) {
  UsageMeter meter;
  meter.end();
  EXPECT_EQ(meter.end_quiet(1500ns).cpu_us, 1U);
  EXPECT_EQ(meter.end_quiet(1500ns).cpu_us, 2U) << "the half of the one before too";
  EXPECT_GT(meter.end_quiet(1500ns).max_rss_bytes, 0U);
}

TEST(UsageMeter, WhatQuietJobsAreSaidToHaveUsedIsPutRightSoon) {
  UsageMeter meter;
  meter.end();
  std::uint64_t said = 0;
  for (int i = 0; i < 10'000; ++i) said += meter.end_quiet(90us).cpu_us;  // which this process has not used
  EXPECT_LT(said, 10'000U * 80);
}

}  // namespace
}  // namespace libtask::detail

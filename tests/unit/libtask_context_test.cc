// What a handler can ask of its Context beside the job's data: stop tokens, callbacks, log lines, retries; and what
// middlewares make of handlers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <new>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>

#include "libtask/src/termination.h"
#include "libtask_fixture.h"

namespace libtask::detail {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::ResultStatus;

// Sleeps until the token is stopped. False when that does not happen for very long.
bool sleeps_until_stopped(const std::stop_token& token) {
  std::mutex mutex;
  std::condition_variable_any wakes;
  std::unique_lock lock(mutex);
  return !wakes.wait_for(lock, token, 30s, [] { return false; }) && token.stop_requested();
}

// A giver that asks for a stop as a sub-worker does: at any time, and its descriptor becomes readable.
class AskingGiver : public JobGiver {
 public:
  AskingGiver() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~AskingGiver() override { close(event_); }
  AskingGiver(const AskingGiver&) = delete;
  AskingGiver& operator=(const AskingGiver&) = delete;

  std::optional<AbortReason> stop_wish(std::int64_t) override {
    eventfd_t count = 0;
    if (eventfd_read(event_, &count) == 0) asked_ = true;
    return asked_ ? std::optional(AbortReason::requested) : std::nullopt;
  }
  int stop_descriptor() const override { return event_; }
  void tell_progress(const wire::Progress&) override {}
  void tell_value(const wire::Value&) override {}
  void log(const wire::Log&) override {}
  void ask() const { eventfd_write(event_, 1); }

 private:
  int event_;
  bool asked_ = false;
};

wire::Result run_asked(OneTask& task, AskingGiver& giver, std::int64_t time_limit_ms = 0) {
  return execute(wire::Run{.job_id = 17, .task = "dishes.wash", .args = "{}", .time_limit_ms = time_limit_ms},
                 task.registry, giver);
}

TEST(Abort, StopsTheTokenOfAHandlerThatOnlyWaits) {
  AskingGiver giver;
  std::jthread asker;
  OneTask task([&](Context& job) {
    const std::stop_token token = job.stop_token();
    EXPECT_FALSE(token.stop_requested());
    EXPECT_EQ(job.abort_reason(), std::nullopt);
    asker = std::jthread([&] { giver.ask(); });
    EXPECT_TRUE(sleeps_until_stopped(token));
    EXPECT_EQ(job.abort_reason(), AbortReason::requested);
  });
  const wire::Result result = run_asked(task, giver);
  EXPECT_EQ(result.status, ResultStatus::aborted);
  EXPECT_EQ(result.abort_reason, wire::Abort::Reason::requested);
}

TEST(Abort, StopsTheTokenAtTheTimeLimit) {
  AskingGiver giver;
  OneTask task([&](Context& job) {
    EXPECT_TRUE(sleeps_until_stopped(job.stop_token()));
    EXPECT_GE(std::chrono::steady_clock::now(), *job.deadline());
  });
  EXPECT_EQ(run_asked(task, giver, 20).message, "stopped at its time limit");
}

TEST(Abort, StopsTheTokenAtASignalThatInterruptsTheHandlersThread) {
  catch_termination_by_hand();
  const pthread_t main_thread = pthread_self();
  OneTask task([&](Context& job) {
    const std::stop_token token = job.stop_token();
    kill(getpid(), SIGTERM);  // to the process: libtask's thread blocks it
    EXPECT_TRUE(sleeps_until_stopped(token));
    EXPECT_EQ(job.abort_reason(), AbortReason::shutdown);
    EXPECT_EQ(pthread_self(), main_thread);
  });
  EXPECT_EQ(task.run().abort_reason, wire::Abort::Reason::shutdown);
  forget_termination();
}

TEST(Abort, StopsTheTokenWhenAnotherAskerFindsItFirst) {
  AskingGiver giver;
  OneTask task([&](Context& job) {
    const std::stop_token token = job.stop_token();
    giver.ask();
    std::jthread other([&] {
      while (!job.should_abort()) std::this_thread::yield();
    });
    EXPECT_TRUE(sleeps_until_stopped(token));
  });
  EXPECT_EQ(run_asked(task, giver).status, ResultStatus::aborted);
}

TEST(Abort, CallsEachCallbackOnceAndLateOnesAtOnce) {
  AskingGiver giver;
  std::atomic<int> first = 0;
  std::atomic<int> late = 0;
  OneTask task([&](Context& job) {
    job.on_abort([&](AbortReason reason) {
      EXPECT_EQ(reason, AbortReason::requested);
      EXPECT_TRUE(job.should_abort()) << "a callback may ask";
      ++first;
      first.notify_all();
    });
    EXPECT_EQ(first, 0);
    giver.ask();
    first.wait(0);
    while (late == 0) job.on_abort([&](AbortReason) { ++late; });
  });
  run_asked(task, giver);
  EXPECT_EQ(first, 1);
  EXPECT_GE(late, 1);
}

TEST(Abort, CallsNothingAfterTheHandlerHasEnded) {
  AskingGiver giver;
  int calls = 0;
  std::stop_token token;
  OneTask task([&](Context& job) {
    job.on_abort([&](AbortReason) { ++calls; });
    token = job.stop_token();
  });
  EXPECT_EQ(run_asked(task, giver).status, ResultStatus::succeeded);
  giver.ask();
  EXPECT_EQ(calls, 0);
  EXPECT_FALSE(token.stop_requested());
}

TEST(Context, KnowsForWhenTheJobWasScheduled) {
  std::optional<std::chrono::system_clock::time_point> seen;
  OneTask task([&](Context& job) { seen = job.scheduled_at(); });
  task.run();
  EXPECT_EQ(seen, std::nullopt);
  task.run(wire::Run{.task = "dishes.wash", .scheduled_at_us = 1'700'000'000'000'001});
  EXPECT_EQ(seen, std::chrono::system_clock::time_point(1'700'000'000'000'001us));
  task.run(wire::Run{.task = "dishes.wash", .scheduled_at_us = std::numeric_limits<std::int64_t>::min()});
  EXPECT_LT(*seen, std::chrono::system_clock::time_point(-9'000'000'000s));
}

TEST(Context, LogsALineWithFields) {
  OneTask task([](Context& job) {
    job.log(LogLevel::warning, "the sink is slow", {{"ms", 1200}, {"sink", {{"name", "left"}}}});
    job.log(LogLevel::debug, std::string(10'000, 'x'));
  });
  task.run();
  ASSERT_EQ(task.giver.logged.size(), 2U);
  EXPECT_EQ(task.giver.logged[0].job_id, 17);
  EXPECT_EQ(task.giver.logged[0].level, wire::Log::Level::warning);
  EXPECT_EQ(task.giver.logged[0].text, "the sink is slow");
  EXPECT_EQ(task.giver.logged[0].fields, R"({"ms":1200,"sink":{"name":"left"}})");
  EXPECT_EQ(task.giver.logged[1].level, wire::Log::Level::debug);
  EXPECT_LT(task.giver.logged[1].text.size(), 8'200U);
  EXPECT_EQ(task.giver.logged[1].fields, "{}");
}

TEST(Context, AsksForARetryWithChanges) {
  OneTask task([](Context& job) {
    job.retry_in(90s, "too many requests", {.priority = -1, .queue = "slow", .lock = "api", .counts = false});
  });
  const wire::Result result = task.run();
  EXPECT_EQ(result.status, ResultStatus::exception);
  EXPECT_EQ(result.exception_type, "libtask::Retry");
  EXPECT_EQ(result.message, "too many requests");
  EXPECT_EQ(result.retry_in_us, 90'000'000);
  EXPECT_FALSE(result.retry_counts);
  EXPECT_EQ(result.retry_priority, -1);
  EXPECT_EQ(result.retry_queue, "slow");
  EXPECT_EQ(result.retry_lock, "api");
}

TEST(Context, AsksForARetryAtATime) {
  OneTask later([](Context& job) { job.retry_at(std::chrono::system_clock::now() + 1h); });
  const wire::Result result = later.run();
  EXPECT_NEAR(static_cast<double>(*result.retry_in_us), 3.6e9, 6e7);
  EXPECT_TRUE(result.retry_counts);
  EXPECT_EQ(result.retry_queue, std::nullopt);
  OneTask past([](Context& job) { job.retry_at(std::chrono::system_clock::now() - 1h); });
  EXPECT_EQ(past.run().retry_in_us, 0);
}

struct SinkClogged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST(RetryOn, FindsWhatIsNestedHoweverDeep) {
  OneTask task([](Context&) {
    try {
      try {
        throw SinkClogged("hair");
      } catch (...) {
        std::throw_with_nested(std::logic_error("cannot wash"));
      }
    } catch (...) {
      std::throw_with_nested(std::string("no standard exception"));
    }
  });
  const auto is_retryable = [&](std::vector<ExceptionMatcher> on) {
    task.task().retry = RetryOptions{.on = std::move(on)};
    return task.run().retryable;
  };
  EXPECT_TRUE(is_retryable(exceptions<SinkClogged>()));
  EXPECT_TRUE(is_retryable(exceptions<std::logic_error>()));
  EXPECT_TRUE(is_retryable(exceptions<std::string>()));
  EXPECT_FALSE(is_retryable(exceptions<std::system_error, std::bad_alloc>()));
}

// --- middlewares -------------------------------------------------------------------------------------------

class Around : public ::testing::Test {
 protected:
  Around() : task([this](Context&) { story += "handler "; }) {
    registry().scopes.push_back({.prefix = "dishes.", .outer = &app()});
    task.task().scope = &registry().scopes.back();
  }
  Registry& registry() { return task.registry; }
  Scope& app() { return registry().scopes.front(); }
  Scope& inner() { return registry().scopes.back(); }
  Middleware noting(const std::string& name) {
    return [this, name](Context& job, const Handler& next) {
      story += name + "( ";
      next(job);
      story += ")" + name + " ";
    };
  }

  std::string story;
  OneTask task;
};

TEST_F(Around, TheAppsAreOutsideAndTheFirstIsTheOutermost) {
  inner().around = {noting("c"), noting("d")};
  app().around = {noting("a"), noting("b")};
  EXPECT_EQ(task.run().status, ResultStatus::succeeded);
  EXPECT_EQ(story, "a( b( c( d( handler )d )c )b )a ");
}

TEST_F(Around, MayForgiveAFailure) {
  task.task().handler = [](Context&) { throw SinkClogged("hair"); };
  app().around = {[](Context& job, const Handler& next) {
    try {
      next(job);
    } catch (const SinkClogged&) {
      job.defer("sink.unclog");
    }
  }};
  const wire::Result result = task.run();
  EXPECT_EQ(result.status, ResultStatus::succeeded);
  EXPECT_EQ(result.defers.size(), 1U);
}

TEST_F(Around, MayTurnAFailureIntoARetryAndASuccessIntoAFailure) {
  app().around = {[](Context& job, const Handler& next) {
    next(job);
    job.retry_in(5s, "once more");
  }};
  EXPECT_EQ(task.run().retry_in_us, 5'000'000);
  app().around = {[](Context&, const Handler&) { throw std::runtime_error("not today"); }};
  story.clear();
  EXPECT_EQ(task.run().message, "not today");
  EXPECT_EQ(story, "") << "the handler is not run by itself";
}

TEST_F(Around, SeesArgumentsThatDoNotFit) {
  OneTask typed([](const std::string&) {}, {"dish"});
  typed.task().scope = &typed.registry.scopes.front();
  std::string seen;
  typed.registry.scopes.front().around = {[&](Context& job, const Handler& next) {
    try {
      next(job);
    } catch (const BadArguments& error) {
      seen = error.what();
      throw;
    }
  }};
  EXPECT_EQ(typed.run("{}").status, ResultStatus::bad_arguments);
  EXPECT_THAT(seen, HasSubstr("\"dish\""));
}

}  // namespace
}  // namespace libtask::detail

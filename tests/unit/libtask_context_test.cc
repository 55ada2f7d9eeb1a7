// What a handler can ask of its Context beside the job's data: log lines, retries, from which thread; and what
// middlewares make of handlers. Aborts are in libtask_abort_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <new>
#include <string>
#include <system_error>
#include <thread>

#include "libtask_fixture.h"

namespace libtask::detail {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::ResultStatus;

// A giver that notices when two threads tell it something at once, each of which takes a while; its time flies, so that all
// progress is due.
class JealousGiver : public FakeGiver {
 public:
  void tell_progress(const wire::Progress&) override { one_at_a_time(); }
  void log(const wire::Log&) override { one_at_a_time(); }
  std::chrono::steady_clock::time_point now() override {
    return std::chrono::steady_clock::time_point(1s * ++seconds_);
  }
  void one_at_a_time() {
    if (busy_.exchange(true)) ++clashes;
    std::this_thread::sleep_for(100us);
    busy_ = false;
    ++calls;
  }

  std::atomic<int> clashes = 0;
  std::atomic<int> calls = 0;

 private:
  std::atomic<bool> busy_ = false;
  std::atomic<int> seconds_ = 0;
};

// Progress that is kept back goes out with a look, also while a thread of the handler tells something.
TEST(Context, LetsOneThreadTellWhileAnotherLooks) {
  JealousGiver giver;
  OneTask task([&](Context& job) {
    std::atomic<bool> done = false;
    std::jthread worker([&] {
      for (std::uint64_t i = 0; i < 200; ++i) {
        job.progress(i);
        job.log(LogLevel::info, "one more");
      }
      done = true;
    });
    while (!done) EXPECT_FALSE(job.should_abort());
  });
  execute(wire::Run{.job_id = 17, .task = "dishes.wash", .args = "{}"}, task.registry, giver);
  EXPECT_GE(giver.calls, 400);
  EXPECT_EQ(giver.clashes, 0);
}

// A line that the sub-worker does not take.
class StuckGiver : public FakeGiver {
 public:
  void log(const wire::Log&) override {
    is_in = true;
    is_in.notify_all();
    let_go.wait(false);
  }
  std::atomic<bool> is_in = false;
  std::atomic<bool> let_go = false;
};

TEST(Context, ALookDoesNotWaitForALineThatIsBeingSent) {
  StuckGiver giver;
  OneTask task([&](Context& job) {
    job.progress(1);
    job.progress(2);
    std::jthread worker([&] { job.log(LogLevel::info, "stuck"); });
    giver.is_in.wait(false);
    EXPECT_FALSE(job.should_abort());
    giver.let_go = true;
    giver.let_go.notify_all();
  });
  execute(wire::Run{.job_id = 17, .task = "dishes.wash", .args = "{}"}, task.registry, giver);
  ASSERT_EQ(giver.told.size(), 2U);
  EXPECT_EQ(giver.told[1].done, 2U);
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

TEST(Context, LeavesOutFieldsThatAreTooLarge) {
  OneTask task([](Context& job) {
    const std::string page(20U << 20U, 'x');
    job.log(LogLevel::info, "the server answers", {{"page", page}});
    job.log(LogLevel::info, std::string(9'000, 'y'), {{"page", page.substr(0, 17'000)}});
    job.log(LogLevel::info, "the server answers", {{"page", page.substr(0, 16'000)}});
  });
  EXPECT_EQ(task.run().status, ResultStatus::succeeded);
  ASSERT_EQ(task.giver.logged.size(), 3U);
  EXPECT_EQ(task.giver.logged[0].fields, "{}");
  EXPECT_EQ(task.giver.logged[0].text,
            "the server answers (its fields are left out: 20971531 bytes, of at most 16384)");
  EXPECT_THAT(task.giver.logged[1].text, HasSubstr("left out: 17011 bytes"));
  EXPECT_LE(task.giver.logged[1].text.size(), 8'192U);
  EXPECT_GT(task.giver.logged[2].fields.size(), 16'000U);
}

TEST(Context, RefusesChangesThatARetryCannotMake) {
  const auto refusal = [](RetryChanges changes, bool by_hand) {
    OneTask task([&](Context& job) {
      if (by_hand) throw Retry{30s, "", changes};
      job.retry_in(30s, "", changes);
    });
    const wire::Result result = task.run();
    EXPECT_EQ(result.exception_type, "std::invalid_argument");
    EXPECT_EQ(result.retry_in_us, std::nullopt);
    return result.message;
  };
  for (const bool by_hand : {false, true}) {
    EXPECT_THAT(refusal({.lock = ""}, by_hand), HasSubstr("not take it away"));
    EXPECT_THAT(refusal({.lock = std::string(2001, 'x')}, by_hand), HasSubstr("has 2001 bytes"));
    EXPECT_THAT(refusal({.queue = ""}, by_hand), HasSubstr("1 to 128 characters, and not 0"));
    EXPECT_THAT(refusal({.queue = std::string(200, 'x')}, by_hand), HasSubstr("and not 200"));
    EXPECT_THAT(refusal({.queue = "\xff"}, by_hand), HasSubstr("UTF-8"));
  }
  OneTask longest([](Context& job) {
    std::string queue;
    for (int i = 0; i < 128; ++i) queue += "ü";
    job.retry_at(std::chrono::system_clock::now(), "", {.queue = queue, .lock = std::string(2000, 'x')});
  });
  EXPECT_EQ(longest.run().retry_in_us, 0);
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

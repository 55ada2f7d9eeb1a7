// How a handler hears that its job should stop while it waits: stop tokens and callbacks; and what then counts as told.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stop_token>
#include <thread>

#include "libtask/src/termination.h"
#include "libtask_fixture.h"

namespace libtask::detail {
namespace {

using namespace std::chrono_literals;
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

// A watcher that finds a reason when the handler has returned tells nobody, and the work was done.
TEST(Abort, IsNotToldToAHandlerThatHasReturned) {
  AskingGiver giver;
  AbortSigns signs(giver, 17, 0);
  int calls = 0;
  const std::stop_token token = signs.token();
  signs.call([&](AbortReason) { ++calls; });
  EXPECT_FALSE(signs.end_telling());
  giver.ask();
  while (!signs.reason()) std::this_thread::yield();
  signs.end();
  EXPECT_FALSE(token.stop_requested());
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(signs.told_reason(), std::nullopt);
  EXPECT_FALSE(signs.look());
}

TEST(Abort, ComesTooLateForAHandlerThatWillFinish) {
  AskingGiver giver;
  OneTask task([&](Context& job) {
    const std::stop_token token = job.stop_token();
    job.will_finish();
    giver.ask();
    std::this_thread::sleep_for(50ms);
    EXPECT_FALSE(token.stop_requested());
    EXPECT_FALSE(job.should_abort());
    EXPECT_EQ(job.abort_reason(), std::nullopt);
    job.defer("dishes.dry");
  });
  const wire::Result result = run_asked(task, giver);
  EXPECT_EQ(result.status, ResultStatus::succeeded);
  EXPECT_EQ(result.defers.size(), 1U);
}

TEST(Abort, KeepsAHandlerFromWhatItWouldFinish) {
  AskingGiver giver;
  bool has_begun = false;
  OneTask task([&](Context& job) {
    giver.ask();
    job.will_finish();
    has_begun = true;
  });
  const wire::Result result = run_asked(task, giver);
  EXPECT_EQ(result.status, ResultStatus::aborted);
  EXPECT_EQ(result.abort_reason, wire::Abort::Reason::requested);
  EXPECT_FALSE(has_begun);
}

}  // namespace
}  // namespace libtask::detail

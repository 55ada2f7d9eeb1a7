// The harness of <libtask/testing.h>: jobs that lead to others, by a clock of the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/json.h>
#include <libtask/testing.h>

#include <chrono>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using libtask::testing::AlreadyEnqueued;
using libtask::testing::Cause;
using libtask::testing::Harness;
using libtask::testing::Job;
using libtask::testing::Status;
using libtask::testing::TimePoint;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

// Tasks that write letters, one after the other.
class HarnessStory : public ::testing::Test {
 protected:
  HarnessStory() {
    app.task("write", [this](const std::string& letter) { text += letter; }, {"letter"});
    app.task("chain",
             [](libtask::Context& job, int more) {
               if (more > 0) job.defer("chain", {{"more", more - 1}}, {.delay = 1h});
             },
             {"more"});
    app.task("fail",
             [](libtask::Context& job) {
               if (job.attempt() <= 2) throw std::runtime_error("not yet");
             })
        .retry({.max_attempts = 5, .wait = 10s});
  }
  libtask::testing::JobId write(const std::string& letter, const libtask::DeferOptions& options = {}) {
    return harness.defer("write", {{"letter", letter}}, options);
  }

  libtask::App app;
  std::string text;
  Harness harness{app};
};

// With the options that a client's job has.
TEST_F(HarnessStory, TakesTheJobsOfDeclaredTasks) {
  constexpr auto declared = libtask::declare<std::string>("write", "letter").queue("desk");
  harness.defer(declared("b").lock("pen").schedule_in(1h).meta({{"tenant", "ann"}}));
  harness.defer(declared("a").priority(5).queueing_lock("ink").schedule_at(harness.clock().now() + 30min));
  EXPECT_EQ(harness.job(1).queue, "desk");
  EXPECT_EQ(harness.job(1).lock, "pen");
  EXPECT_EQ(harness.job(1).meta, R"({"tenant":"ann"})");
  EXPECT_EQ(harness.job(2).priority, 5);
  EXPECT_THROW(harness.defer(declared("c").queueing_lock("ink")), AlreadyEnqueued);
  EXPECT_EQ(harness.defer(declared("c").queueing_lock("ink").on_conflict(libtask::OnConflict::keep)), 2);
  EXPECT_THROW(harness.defer(declared("c").on_conflict(libtask::OnConflict::replace)), std::invalid_argument);
  EXPECT_EQ(harness.work(), 0);
  EXPECT_EQ(harness.advance(30min), 1);
  EXPECT_EQ(harness.advance(30min), 1);
  EXPECT_EQ(text, "ab");
}

TEST_F(HarnessStory, PriorityThenAgeDecides) {
  write("c");
  write("a", {.priority = 5});
  write("b", {.priority = 5});
  write("d", {.priority = -1});
  EXPECT_EQ(harness.work(), 4);
  EXPECT_EQ(text, "abcd");
  EXPECT_THAT(harness.runs(), ElementsAre(2, 3, 1, 4));
  EXPECT_THAT(harness.with(Status::succeeded), ElementsAre(1, 2, 3, 4));
}

TEST_F(HarnessStory, ScheduledJobsRunWhenTheClockHasComeThere) {
  write("b", {.delay = 2h});
  write("a", {.delay = 1h});
  EXPECT_EQ(harness.work(), 0);
  EXPECT_EQ(harness.advance(59min), 0);
  EXPECT_EQ(harness.advance(1min), 1);
  EXPECT_EQ(text, "a");
  const TimePoint now = harness.clock().now();
  EXPECT_EQ(harness.advance(3h), 1);
  EXPECT_EQ(text, "ab");
  EXPECT_EQ(harness.clock().now(), now + 3h);
}

TEST_F(HarnessStory, JobsThatOthersDeferAreWorkedOffToo) {
  harness.defer("chain", {{"more", 3}});
  const TimePoint begin = harness.clock().now();
  EXPECT_EQ(harness.work(), 1);
  EXPECT_EQ(harness.work_off(), 3);
  EXPECT_EQ(harness.clock().now(), begin + 3h);
  EXPECT_THAT(harness.jobs(), SizeIs(4));
}

TEST_F(HarnessStory, RetryComesAfterItsWaitWithTheNextAttempt) {
  const auto id = harness.defer("fail");
  EXPECT_EQ(harness.work(), 1);
  EXPECT_EQ(harness.job(id).status, Status::todo);
  EXPECT_EQ(harness.job(id).scheduled_at, harness.clock().now() + 10s);
  EXPECT_EQ(harness.advance(10s), 1);
  EXPECT_EQ(harness.work_off(), 1);
  EXPECT_EQ(harness.job(id).status, Status::succeeded);
  EXPECT_EQ(harness.job(id).attempts, 3);
  EXPECT_THAT(harness.job(id).outcomes, SizeIs(3));
}

// The letters story (docs/locks.md): the first of a lock that cannot run yet holds up those behind it.
TEST_F(HarnessStory, LockKeepsTheOrder) {
  write("a", {.lock = "l", .delay = 1h});
  write("b", {.lock = "l"});
  write("x");
  EXPECT_EQ(harness.work(), 1);
  EXPECT_EQ(text, "x");
  harness.advance(1h);
  EXPECT_EQ(text, "xab");
}

TEST_F(HarnessStory, RetryHoldsUpTheLockUnlessItLeavesIt) {
  harness.defer("fail", {}, {.lock = "l"});
  write("b", {.lock = "l"});
  EXPECT_EQ(harness.work(), 1);
  EXPECT_EQ(harness.work_off(), 3);
  EXPECT_THAT(harness.runs(), ElementsAre(1, 1, 1, 2));
}

TEST_F(HarnessStory, QueueingLockLetsOneWait) {
  const auto first = write("a", {.queueing_lock = "q"});
  try {
    write("b", {.queueing_lock = "q"});
    FAIL();
  } catch (const AlreadyEnqueued& error) {
    EXPECT_STREQ(error.what(), "job 1 with queueing lock \"q\" waits already");
  }
  harness.work();
  EXPECT_EQ(harness.job(first).status, Status::succeeded);
  EXPECT_EQ(write("b", {.queueing_lock = "q"}), 2);
}

TEST_F(HarnessStory, HandlerMayDeferUnderItsOwnQueueingLockAndTheSecondOneIsLeftOut) {
  libtask::App own;
  own.task("again",
           [](libtask::Context& job) {
             job.defer("other");
             job.defer("other");
           })
      .queueing_lock("q");
  own.task("other", [] {}).queueing_lock("q");
  Harness other(own);
  other.defer("again");
  EXPECT_EQ(other.work(), 2);
}

TEST_F(HarnessStory, RetryThatMeetsAnotherUnderItsQueueingLockIsSuperseded) {
  app.task("late",
           [this] {
             write("b", {.queueing_lock = "q"});
             throw std::runtime_error("too late");
           })
      .queueing_lock("q")
      .retry({});
  const auto late = harness.defer("late");
  EXPECT_EQ(harness.work(), 2);
  EXPECT_EQ(harness.job(late).status, Status::failed);
  EXPECT_EQ(harness.job(late).outcomes.back().cause, Cause::superseded);
  EXPECT_THAT(harness.job(late).outcomes.back().message, HasSubstr("superseded by job 2"));
}

TEST_F(HarnessStory, ChainThatNeverEndsIsAnErrorInWords) {
  libtask::App endless;
  endless.task("ping", [](libtask::Context& job) { job.defer("pong"); });
  endless.task("pong", [](libtask::Context& job) { job.defer("ping"); });
  Harness bounded(endless, TimePoint(), 10);
  bounded.defer("ping");
  try {
    bounded.work();
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has run 10 jobs"));
    EXPECT_THAT(error.what(), HasSubstr("pong, ping, pong"));
  }
}

TEST_F(HarnessStory, FollowersKnowTheirJobAndGetItsMetaUnlessTheyHaveTheirOwn) {
  libtask::App followed;
  std::string metas;
  followed.task("first", [](libtask::Context& job) {
    job.defer("next");
    job.defer("next", {}, {.meta = {{{"own", 1}}}});
    job.defer("next", {}, {.meta = libtask::Args{}});
  });
  std::vector<std::optional<std::int64_t>> deferred_by;
  followed.task("next", [&](libtask::Context& job) {
    metas += job.meta() + ' ';
    deferred_by.push_back(job.deferred_by());
  });
  Harness of_them(followed);
  of_them.defer("first", {}, {.meta = {{{"tenant", "ann"}}}});
  EXPECT_EQ(of_them.work(), 4);
  EXPECT_EQ(metas, R"({"tenant":"ann"} {"own":1} {} )");
  EXPECT_THAT(deferred_by, Each(Optional(1)));
  EXPECT_EQ(of_them.job(1).deferred_by, std::nullopt);
  EXPECT_EQ(of_them.job(4).deferred_by, 1);
}

TEST_F(HarnessStory, AttemptsThatDoNotCountLeaveTheOthersToTheJob) {
  libtask::App busy;
  busy.task("call",
            [](libtask::Context& job) {
              if (job.attempt() <= 3) job.retry_in(1min, "busy", {.counts = false});
              throw std::runtime_error("no answer");
            })
      .retry({.max_attempts = 1, .wait = 1min});
  Harness of_it(busy);
  of_it.defer("call");
  EXPECT_EQ(of_it.work_off(), 5) << "three that do not count, and two that do";
  EXPECT_EQ(of_it.job(1).status, Status::failed);
}

TEST_F(HarnessStory, RetryWithoutLimitIsSuchAChain) {
  libtask::App endless;
  endless.task("never", [] { throw std::runtime_error("no"); }).retry({.wait = 1h});
  Harness bounded(endless, TimePoint(), 10);
  bounded.defer("never");
  EXPECT_THROW(bounded.work_off(), std::runtime_error);
}

TEST_F(HarnessStory, UnknownJobIsOutOfRange) {
  EXPECT_THROW(harness.job(1), std::out_of_range);
  EXPECT_THROW(harness.job(0), std::out_of_range);
  EXPECT_THAT(harness.jobs(), IsEmpty());
}

}  // namespace

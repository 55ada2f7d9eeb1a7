// Every way in which a run can end, and what follows from it.
#include <gmock/gmock.h>

#include <csignal>
#include <limits>
#include <string>
#include <vector>

#include "subworker_outcome_fixture.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::Result;
using libtask::wire::ResultStatus;
using libtask::wire::RetryStrategy;
using libtask::wire::TaskDescription;
using sql::Action;
using sql::Cause;
using testing::HasSubstr;
using testing::IsEmpty;

// --- what becomes of a job ---------------------------------------------------------------------------------

// Every way a run can end, before and after each reason to stop, and what follows from it without a retry
// strategy, with one, and with one that leaves crashes alone.
struct Story {
  const char* name;
  Execution execution;
  Cause cause;
  Action without_retry;
  Action with_retry;
  Action without_retry_on_crash;
};

std::vector<Story> stories() {
  using Reason = libtask::wire::Abort::Reason;
  constexpr auto requested = StopReason::requested;
  constexpr auto time_limit = StopReason::time_limit;
  constexpr auto shutdown = StopReason::shutdown;
  constexpr auto succeed = Action::succeed;
  constexpr auto fail = Action::fail;
  constexpr auto abort = Action::abort;
  constexpr auto retry = Action::retry;
  const Returned done = returned(ResultStatus::succeeded);
  const Returned gave_up = returned(ResultStatus::aborted);
  const Returned bad_arguments = returned(ResultStatus::bad_arguments);
  const Returned unknown = returned(ResultStatus::unknown_task);
  return {
      // What the handler says of itself counts, whatever it was told meanwhile.
      {"succeeded", ended(done), Cause::succeeded, succeed, succeed, succeed},
      {"succeeded though asked to abort", ended(done, requested), Cause::succeeded, succeed, succeed,
       succeed},
      {"succeeded past its limit", ended(done, time_limit), Cause::succeeded, succeed, succeed, succeed},
      {"succeeded in the shutdown", ended(done, shutdown), Cause::succeeded, succeed, succeed, succeed},
      {"threw", ended(threw()), Cause::exception, fail, retry, retry},
      {"threw when asked to abort", ended(threw(), requested), Cause::exception, fail, retry, retry},
      {"threw past its limit", ended(threw(), time_limit), Cause::exception, fail, retry, retry},
      {"threw what is not retried", ended(threw(false)), Cause::exception, fail, fail, fail},
      {"bad arguments", ended(bad_arguments), Cause::bad_arguments, retry, retry, retry},
      {"unknown task", ended(unknown), Cause::unknown_task, retry, retry, retry},

      {"aborted itself", ended(gave_up), Cause::aborted, abort, abort, abort},
      {"aborted on request", ended(gave_up, requested), Cause::aborted, abort, abort, abort},
      {"stopped at its limit", ended(gave_up, time_limit), Cause::timed_out, fail, retry, fail},
      {"stopped in the shutdown", ended(gave_up, shutdown), Cause::aborted, retry, retry, retry},

      // Told by somebody else; what the sub-worker said counts more.
      {"saw its limit before us", ended(told(Reason::time_limit)), Cause::timed_out, fail, retry, fail},
      {"SIGTERM from elsewhere", ended(told(Reason::shutdown)), Cause::aborted, retry, retry, retry},
      {"aborted and told so", ended(told(Reason::requested)), Cause::aborted, abort, abort, abort},
      {"SIGTERM of an abort", ended(told(Reason::shutdown), requested), Cause::aborted, abort, abort, abort},

      {"segfault", ended(died_by(SIGSEGV)), Cause::signalled, fail, retry, fail},
      {"exit", ended(died_with(0)), Cause::exited, fail, retry, fail},
      {"killed on request", ended(died_by(SIGKILL), requested), Cause::aborted, abort, abort, abort},
      {"killed at its limit", ended(died_by(SIGKILL), time_limit), Cause::timed_out, fail, retry, fail},
      {"killed in the shutdown", ended(died_by(SIGKILL), shutdown), Cause::aborted, retry, retry, retry},
      {"exit when asked to abort", ended(died_with(3), requested), Cause::aborted, abort, abort, abort},

      // Misbehaviour stays what it is: being told to stop is no excuse.
      // No try helps.
      {"too large for a frame", ended(Oversized{"x"}), Cause::bad_arguments, fail, fail, fail},

      {"garbled", ended(Garbled{"x"}), Cause::protocol_error, fail, retry, fail},
      {"garbled when asked to abort", ended(Garbled{"x"}, requested), Cause::protocol_error, fail, retry,
       fail},
      {"flooded", ended(Flooded{10}), Cause::output_flood, fail, retry, fail},
      {"outgrown", ended(Outgrown{20, 10}), Cause::memory_limit, fail, retry, fail},
      {"killed by the kernel for its memory", ended(killed_for_memory(Verdict::certain)), Cause::memory_limit,
       fail, retry, fail},
      {"probably killed by the kernel", ended(killed_for_memory(Verdict::probable)), Cause::signalled, fail,
       retry, fail},
      {"flooded past its limit", ended(Flooded{10}, time_limit), Cause::output_flood, fail, retry, fail},
  };
}

TEST(Outcome, FollowsFromTheEndTheStopAndTheStrategy) {
  for (const Story& story : stories()) {
    SCOPED_TRACE(story.name);
    const auto plain = decide_first(story.execution);
    EXPECT_EQ(plain.job_id, 42);
    EXPECT_EQ(plain.attempt, 1);
    EXPECT_EQ(plain.cause, story.cause);
    EXPECT_EQ(plain.action, story.without_retry);
    const auto retried = decide_first(story.execution, RetryStrategy{});
    EXPECT_EQ(retried.cause, story.cause);
    EXPECT_EQ(retried.action, story.with_retry);
    EXPECT_EQ(decide_first(story.execution, RetryStrategy{.on_crash = false}).action,
              story.without_retry_on_crash);
  }
}

TEST(Outcome, DeletedAreOnlyJobsThatHaveEnded) {
  for (const Story& story : stories()) {
    SCOPED_TRACE(story.name);
    const auto task = task_with(RetryStrategy{});
    const Action action = story.with_retry;
    const auto deleted = [&](config::DeleteJobs when) {
      return decide(job_after(0), story.execution, task, deleting(when)).delete_job;
    };
    EXPECT_FALSE(deleted(config::DeleteJobs::never));
    EXPECT_EQ(deleted(config::DeleteJobs::successful), action == Action::succeed);
    EXPECT_EQ(deleted(config::DeleteJobs::always), action != Action::retry);
  }
}

TEST(Outcome, OfAGroupThatKeepsLittleOnlyASuccessLeavesNoAttempt) {
  config::Group group;
  EXPECT_FALSE(
      decide(job_after(0), ended(returned(ResultStatus::succeeded)), task_with({}), group).omit_attempt);
  group.attempts = config::KeepAttempts::failures;
  group.events = config::KeepEvents::none;
  for (const Story& story : stories()) {
    SCOPED_TRACE(story.name);
    const auto outcome = decide(job_after(0), story.execution, task_with({}), group);
    EXPECT_TRUE(outcome.omit_events);
    EXPECT_EQ(outcome.omit_attempt, outcome.action == Action::succeed);
  }
}

TEST(Outcome, ExhaustedStrategyFailsTheJobForGood) {
  const RetryStrategy strategy{.max_attempts = 2, .wait = 9s};
  const auto second = decide(job_after(1), ended(threw()), task_with(strategy), {});
  EXPECT_EQ(second.action, Action::retry);
  EXPECT_EQ(second.attempt, 2);
  EXPECT_EQ(second.retry_in, 9s);
  const auto third = decide(job_after(2), ended(threw()), task_with(strategy), {});
  EXPECT_EQ(third.action, Action::fail);
  EXPECT_EQ(third.attempt, 3);
}

TEST(Outcome, ShutdownRetriesAtOnceEvenAnExhaustedJob) {
  const RetryStrategy strategy{.max_attempts = 0, .wait = 9s, .priority = -5};
  for (const auto& end : {ended(died_by(SIGKILL), StopReason::shutdown),
                          ended(returned(ResultStatus::aborted), StopReason::shutdown)}) {
    const auto outcome = decide(job_after(7), end, task_with(strategy), deleting(config::DeleteJobs::always));
    EXPECT_EQ(outcome.action, Action::retry);
    EXPECT_EQ(outcome.retry_in, 0s);
    EXPECT_EQ(outcome.new_priority, std::nullopt);
    EXPECT_EQ(outcome.message, "interrupted: its sub-worker was shut down");
  }
}

// Without a wait, and uncounted, it would run again and again.
TEST(Outcome, AShutdownThatOnlyTheTaskProcessKnowsOfWaitsLongerEachTime) {
  const auto after = [](int uncounted, std::optional<StopReason> stop = std::nullopt) {
    sql::Job job = job_after(uncounted);
    job.budget.uncounted = uncounted;
    const auto outcome =
        decide(job, ended(told(libtask::wire::Abort::Reason::shutdown), stop), task_with({}), {});
    EXPECT_EQ(outcome.action, Action::retry);
    EXPECT_FALSE(outcome.counts);
    return outcome.retry_in;
  };
  EXPECT_EQ(after(0), 0s) << "a service manager stops the whole family, perhaps";
  EXPECT_EQ(after(1), 1s);
  EXPECT_EQ(after(5), 16s);
  EXPECT_EQ(after(std::numeric_limits<int>::max()), 300s);
  EXPECT_EQ(after(5, StopReason::shutdown), 0s) << "this sub-worker does leave";
}

TEST(Outcome, RetryChangesPriorityQueueAndLock) {
  const RetryStrategy strategy{.priority = 0, .queue = "later", .lock = ""};
  const auto outcome = decide_first(ended(threw()), strategy);
  EXPECT_EQ(outcome.new_priority, 0);
  EXPECT_EQ(outcome.new_queue, "later");
  EXPECT_EQ(outcome.new_lock, "");
  const auto plain = decide_first(ended(threw()), RetryStrategy{});
  EXPECT_EQ(plain.new_priority, std::nullopt);
  EXPECT_EQ(plain.new_queue, std::nullopt);
  EXPECT_EQ(plain.new_lock, std::nullopt);
}

TEST(Outcome, KeepsWhatTheRunCost) {
  Execution execution = ended(threw());
  execution.run_time = 1500ms;
  execution.cpu_time = 200ms;
  execution.max_rss_bytes = 4096;
  execution.stderr_tail = "last words\n";
  const auto outcome = decide_first(execution);
  EXPECT_EQ(outcome.run_time, 1500ms);
  EXPECT_EQ(outcome.cpu_time, 200ms);
  EXPECT_EQ(outcome.max_rss_bytes, 4096);
  EXPECT_EQ(outcome.stderr_tail, "last words\n");
  EXPECT_EQ(outcome.exception_type, "std::runtime_error");
  EXPECT_EQ(outcome.message, "the sink is full");
}

TEST(Outcome, CrashTellsItsSignalAndExitItsStatus) {
  const auto crash = decide_first(ended(died_by(SIGSEGV)));
  EXPECT_EQ(crash.signal, SIGSEGV);
  EXPECT_EQ(crash.exit_status, std::nullopt);
  EXPECT_EQ(crash.message, "the task process ended without a result: signal 11 (Segmentation fault)");
  const auto exit = decide_first(ended(died_with(3)));
  EXPECT_EQ(exit.signal, std::nullopt);
  EXPECT_EQ(exit.exit_status, 3);
  EXPECT_EQ(exit.message, "the task process ended without a result: exit status 3");
}

TEST(Outcome, SigkillThatNobodyHereSentIsBlamedOnWhomTheCountersName) {
  EXPECT_THAT(decide_first(ended(killed_for_memory(Verdict::no))).message,
              HasSubstr("do not show that the kernel sent it, so another process did"));
  EXPECT_THAT(decide_first(ended(killed_for_memory(Verdict::probable))).message,
              HasSubstr("probably the kernel"));
  EXPECT_THAT(decide_first(ended(killed_for_memory(Verdict::certain))).message,
              HasSubstr("the kernel sent it"));
  const auto ours = decide_first(ended(died_by(SIGKILL), StopReason::time_limit));
  EXPECT_EQ(ours.message, "time limit exceeded; the task process ended with signal 9 (Killed)");
}

TEST(Outcome, MisbehaviourIsDescribed) {
  EXPECT_EQ(decide_first(ended(Garbled{"a frame of 4 GiB"})).message,
            "the task process garbled its channel: a frame of 4 GiB");
  EXPECT_EQ(decide_first(ended(Flooded{1024})).message,
            "wrote more than max_output (1024 bytes) to stdout and stderr");
  constexpr std::int64_t kMib = 1024 * 1024;
  EXPECT_EQ(decide_first(ended(Outgrown{70 * kMib + kMib / 2, 64 * kMib})).message,
            "took 70.5 MiB of memory, more than memory_limit (64 MiB)");
}

// --- jobs that the handler deferred ------------------------------------------------------------------------

Returned deferring(const libtask::wire::DeferredJob& job) {
  Returned end = returned(ResultStatus::succeeded);
  end.result.defers.push_back(job);
  return end;
}

libtask::wire::DeferredJob mail() {
  return {.task = "mail.send", .args = R"({"to": "ann"})", .queue = "mail"};
}

TEST(Outcome, SuccessCarriesTheDeferredJobs) {
  auto job = mail();
  job.priority = 3;
  job.lock = "ann";
  job.queueing_lock = "mail-ann";
  job.delay_us = 2'500'000;
  Returned end = deferring(job);
  end.result.defers.push_back(mail());
  const auto outcome = decide_first(ended(end));
  ASSERT_EQ(outcome.defers.size(), 2U);
  const sql::DeferRequest& first = outcome.defers[0];
  EXPECT_EQ(first.task, "mail.send");
  EXPECT_EQ(first.args, R"({"to": "ann"})");
  EXPECT_EQ(first.queue, "mail");
  EXPECT_EQ(first.priority, 3);
  EXPECT_EQ(first.lock, "ann");
  EXPECT_EQ(first.queueing_lock, "mail-ann");
  EXPECT_EQ(first.scheduled_in, 2500ms);
  EXPECT_EQ(outcome.defers[1].scheduled_in, std::nullopt);
}

TEST(Outcome, AResultIsKeptWithSuccessOnlyAndProgressAlways) {
  Execution execution = ended(returned(ResultStatus::succeeded));
  execution.value = "3";
  execution.progress = sql::Progress{1, 2, "half"};
  EXPECT_EQ(decide_first(execution).result, "3");
  EXPECT_EQ(decide_first(execution).progress, execution.progress);
  execution.end = threw();
  EXPECT_EQ(decide_first(execution).result, std::nullopt);
  EXPECT_EQ(decide_first(execution).progress, execution.progress);
}

// A task executable of another language may send anything.
TEST(Outcome, AResultThatCannotBeStoredFailsTheJob) {
  Execution execution = ended(returned(ResultStatus::succeeded));
  execution.value = "no JSON";
  const sql::Outcome outcome = decide_first(execution);
  EXPECT_EQ(outcome.action, Action::fail);
  EXPECT_EQ(outcome.cause, Cause::exception);
  EXPECT_EQ(outcome.message, "it asked for the impossible: its result is no JSON: mistake at byte 2");
  EXPECT_NO_THROW(sql::to_json(outcome));
}

TEST(Outcome, FollowersGetTheMetaOfTheirJobUnlessTheyHaveTheirOwn) {
  Returned end = deferring(mail());
  for (const char* own : {R"({"tenant": "bob"})", "{}"}) {
    auto job = mail();
    job.meta = own;
    end.result.defers.push_back(job);
  }
  sql::Job job = job_after(0);
  job.meta = R"({"tenant": "ann"})";
  const auto outcome = decide(job, ended(end), task_with({}), {});
  ASSERT_EQ(outcome.defers.size(), 3U);
  EXPECT_EQ(outcome.inherited_meta, job.meta) << "once, however many get it";
  EXPECT_EQ(outcome.defers[0].meta, std::nullopt);
  EXPECT_EQ(outcome.defers[1].meta, R"({"tenant": "bob"})");
  EXPECT_EQ(outcome.defers[2].meta, "{}");
}

TEST(Outcome, MoreFollowersThanAJobMayHaveFailIt) {
  Returned end = deferring(mail());
  end.result.defers.assign(sql::kMostDefers + 1, mail());
  const auto outcome = decide_first(ended(end));
  EXPECT_EQ(outcome.action, Action::fail);
  EXPECT_THAT(outcome.message, HasSubstr("it deferred 100001 jobs, more than the 100000"));
  EXPECT_THAT(outcome.defers, IsEmpty());
}

TEST(Outcome, FailureDefersNothing) {
  Returned end = threw();
  end.result.defers.push_back(mail());
  EXPECT_THAT(decide_first(ended(end)).defers, IsEmpty());
}

TEST(Outcome, DeferredJobThatCannotBeStoredFailsTheJobThatDeferredIt) {
  auto job = mail();
  job.queue = std::string(129, 'q');
  const auto outcome =
      decide(job_after(0), ended(deferring(job)), task_with({}), deleting(config::DeleteJobs::successful));
  EXPECT_EQ(outcome.action, Action::fail);
  EXPECT_EQ(outcome.cause, Cause::exception);
  EXPECT_EQ(
      outcome.message,
      "it asked for the impossible: job of task \"mail.send\": the queue name is longer than 128 characters");
  EXPECT_FALSE(outcome.delete_job);
  EXPECT_NO_THROW(sql::to_json(outcome));
}

TEST(Outcome, RetryIntoAQueueThatCannotBeIsAFailure) {
  const auto outcome = decide_first(ended(threw()), RetryStrategy{.queue = std::string(129, 'q')});
  EXPECT_EQ(outcome.action, Action::fail);
  EXPECT_EQ(outcome.cause, Cause::exception);
  EXPECT_THAT(outcome.message, HasSubstr("the sink is full; it asked for the impossible: "));
  EXPECT_NO_THROW(sql::to_json(outcome));
}

// --- jobs that were not run --------------------------------------------------------------------------------

TEST(Outcome, AJobThatIsGivenBackBeforeItBeganLeavesNoTrace) {
  const auto outcome = given_back(job_after(1));
  EXPECT_EQ(outcome.job_id, 42);
  EXPECT_EQ(outcome.attempt, 2);
  EXPECT_EQ(outcome.action, Action::release);
  EXPECT_FALSE(outcome.delete_job);
}

}  // namespace
}  // namespace postpone::subworker

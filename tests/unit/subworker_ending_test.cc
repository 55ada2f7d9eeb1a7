#include "subworker/task/ending.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using sql::Action;
using sql::Cause;
using sql::Seconds;

TEST(Ending, NamesTypeAndMessageAndWhatBecomesOfTheJob) {
  sql::Outcome outcome;
  outcome.attempt = 2;
  outcome.cause = Cause::exception;
  outcome.run_time = sql::Seconds(0.0008);
  outcome.exception_type = "std::runtime_error";
  outcome.message = "no towel";
  outcome.action = Action::fail;
  EXPECT_EQ(describe_ending(outcome),
            "exception in 0.8 ms, attempt 2, failed for good: std::runtime_error: no towel");
  outcome.action = Action::retry;
  EXPECT_EQ(describe_ending(outcome),
            "exception in 0.8 ms, attempt 2, retry at once: std::runtime_error: no towel");
  outcome.retry_in = sql::Seconds(4);
  EXPECT_EQ(describe_ending(outcome),
            "exception in 0.8 ms, attempt 2, retry in 4.0 s: std::runtime_error: no towel");
  outcome.exception_type = "int";
  outcome.message = "";
  EXPECT_EQ(describe_ending(outcome), "exception in 0.8 ms, attempt 2, retry in 4.0 s: int");
}

TEST(Ending, TellsTimesAsPeopleReadThem) {
  sql::Outcome outcome;
  outcome.attempt = 1;
  outcome.cause = Cause::aborted;
  outcome.action = Action::abort;
  outcome.message = "aborted on request";
  outcome.run_time = sql::Seconds(20.764);
  EXPECT_EQ(describe_ending(outcome), "aborted in 20.8 s, attempt 1: aborted on request");
  outcome.run_time = sql::Seconds(125 * 60);
  EXPECT_EQ(describe_ending(outcome), "aborted in 2 h 05 min, attempt 1: aborted on request");
  outcome.cause = Cause::succeeded;
  outcome.action = Action::succeed;
  outcome.message = "";
  EXPECT_EQ(describe_ending(outcome), "succeeded in 2 h 05 min, attempt 1");
}

}  // namespace
}  // namespace postpone::subworker

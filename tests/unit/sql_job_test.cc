#include "sql/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace postpone::sql {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Outcome outcome_of(Action action) {
  Outcome outcome;
  outcome.job_id = 7;
  outcome.attempt = 2;
  outcome.action = action;
  return outcome;
}

DeferRequest request_of(const std::string& task) {
  DeferRequest request;
  request.task = task;
  return request;
}

json parsed(const Outcome& outcome) {
  return json::parse(to_json(outcome));
}

TEST(Labels, GoBothWays) {
  for (const char* label : {"todo", "doing", "succeeded", "failed", "cancelled", "aborting", "aborted"}) {
    const auto status = parse_job_status(label);
    ASSERT_TRUE(status) << label;
    EXPECT_EQ(to_string(*status), label);
  }
  for (const char* label :
       {"succeeded", "exception", "bad_arguments", "unknown_task", "exited", "signalled", "memory_limit",
        "timed_out", "aborted", "protocol_error", "output_flood", "worker_lost", "poison", "superseded"}) {
    const auto cause = parse_cause(label);
    ASSERT_TRUE(cause) << label;
    EXPECT_EQ(to_string(*cause), label);
  }
  EXPECT_FALSE(parse_job_status("done"));
  EXPECT_FALSE(parse_cause(""));
}

TEST(OutcomeTexts, ASuccessCarriesItsFigures) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.run_time = Seconds(1.5);
  outcome.cpu_time = Seconds(0.25);
  outcome.max_rss_bytes = 4096;
  outcome.delete_job = true;
  EXPECT_EQ(parsed(outcome),
            json::parse(R"({"job_id": 7, "attempt": 2, "action": "succeed", "cause": "succeeded",
      "run_time": 1.5, "cpu_time": 0.25, "max_rss": 4096, "delete_job": true})"));
  outcome.omit_events = true;
  outcome.omit_attempt = true;
  EXPECT_EQ(parsed(outcome)["omit_events"], true);
  EXPECT_EQ(parsed(outcome)["omit_attempt"], true);
}

TEST(OutcomeTexts, ACrashCarriesItsReason) {
  Outcome outcome = outcome_of(Action::fail);
  outcome.cause = Cause::signalled;
  outcome.signal = 11;
  outcome.exit_status = 3;
  outcome.exception_type = "std::runtime_error";
  outcome.message = "died";
  outcome.stderr_tail = "last\nwords";
  const json object = parsed(outcome);
  EXPECT_EQ(object["cause"], "signalled");
  EXPECT_EQ(object["signal"], 11);
  EXPECT_EQ(object["exit_status"], 3);
  EXPECT_EQ(object["exception_type"], "std::runtime_error");
  EXPECT_EQ(object["message"], "died");
  EXPECT_EQ(object["stderr_tail"], "last\nwords");
}

TEST(OutcomeTexts, AReleaseLeavesNoTrace) {
  Outcome outcome = outcome_of(Action::release);
  outcome.message = "not started";
  EXPECT_EQ(parsed(outcome), json::parse(R"({"job_id": 7, "attempt": 2, "action": "release"})"));
}

TEST(OutcomeTexts, ARetryCarriesItsChanges) {
  Outcome outcome = outcome_of(Action::retry);
  outcome.retry_in = Seconds(2.5);
  outcome.new_priority = -3;
  outcome.new_queue = "slow";
  outcome.new_lock = "plate";
  const json object = parsed(outcome);
  EXPECT_FALSE(object.contains("uncounted"));
  outcome.counts = false;
  EXPECT_EQ(parsed(outcome)["uncounted"], true);
  EXPECT_EQ(object["retry_in"], 2.5);
  EXPECT_EQ(object["new_priority"], -3);
  EXPECT_EQ(object["new_queue"], "slow");
  EXPECT_EQ(object["new_lock"], "plate");
}

TEST(OutcomeTexts, AWaitThatGrewTooFarIsAHundredYears) {
  Outcome outcome = outcome_of(Action::retry);
  outcome.retry_in = Seconds(1e300);
  EXPECT_EQ(parsed(outcome)["retry_in"], 3'155'760'000.0);
  outcome.retry_in = Seconds(std::numeric_limits<double>::infinity());
  EXPECT_EQ(parsed(outcome)["retry_in"], 3'155'760'000.0);
  outcome.retry_in = Seconds(-1);
  EXPECT_EQ(parsed(outcome)["retry_in"], 0.0);
  outcome.retry_in = Seconds(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(parsed(outcome)["retry_in"], 0.0);
}

TEST(OutcomeTexts, HoldNothingThatPostgresqlRefuses) {
  Outcome outcome = outcome_of(Action::fail);
  outcome.message = std::string("nul \0 here", 10);
  outcome.stderr_tail = "torn \xC3 character \xFF";
  const std::string text = to_json(outcome);
  EXPECT_EQ(text.find("\\u0000"), std::string::npos);
  EXPECT_EQ(json::parse(text)["message"], "nul \uFFFD here");
  EXPECT_EQ(json::parse(text)["stderr_tail"], "torn \uFFFD character \uFFFD");
}

TEST(OutcomeTexts, DefersTravelWithASuccess) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.defers = {request_of("mail.send"), request_of("mail.count")};
  outcome.defers[0].queue = "mail";
  outcome.defers[0].priority = 4;
  outcome.defers[0].lock = "l";
  outcome.defers[0].queueing_lock = "q";
  outcome.defers[0].args = R"({"to": "you"})";
  outcome.defers[0].scheduled_in = Seconds(3);
  EXPECT_EQ(parsed(outcome)["defers"], json::parse(R"([
      {"task": "mail.send", "queue": "mail", "priority": 4, "lock": "l", "queueing_lock": "q", "delay": 3.0,
       "args": {"to": "you"}},
      {"task": "mail.count", "queue": "default", "priority": 0, "delay": 0.0, "args": {}}])"));
}

TEST(OutcomeTexts, NothingIsDeferredWithoutSuccess) {
  for (const Action action : {Action::fail, Action::abort, Action::retry, Action::release}) {
    Outcome outcome = outcome_of(action);
    outcome.defers = {request_of("mail.send")};
    EXPECT_FALSE(parsed(outcome).contains("defers")) << to_string(action);
  }
}

TEST(OutcomeTexts, NumbersInArgumentsKeepAllTheirDigits) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.defers = {request_of("sum")};
  outcome.defers[0].args = R"({"n": 123456789012345678901234567890.123456789012345678901234567890})";
  EXPECT_THAT(to_json(outcome), HasSubstr("123456789012345678901234567890.123456789012345678901234567890"));
}

TEST(OutcomeTexts, AnEscapedNulInArgumentsIsReplaced) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.defers = {request_of("t")};
  outcome.defers[0].args = R"({"nul": "a\u0000b", "backslash": "a\\u0000b"})";
  const json args = parsed(outcome)["defers"][0]["args"];
  EXPECT_EQ(args["nul"], "a\uFFFDb");
  EXPECT_EQ(args["backslash"], "a\\u0000b");
}

TEST(OutcomeTexts, WhatTheDatabaseWouldRefuseIsRefusedHere) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.defers = {request_of("t")};
  outcome.defers[0].args = "[1]";
  EXPECT_THROW(to_json(outcome), std::invalid_argument);

  outcome = outcome_of(Action::retry);
  outcome.new_queue = std::string(129, 'q');
  EXPECT_THROW(to_json(outcome), std::invalid_argument);
  outcome.new_queue = std::nullopt;
  outcome.new_lock = std::string(2001, 'l');
  EXPECT_THROW(to_json(outcome), std::invalid_argument);
}

TEST(OutcomeTexts, AResultTravelsWithASuccessAsItIs) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.result = R"({"big": 123456789012345678901234567890, "nul": "a\u0000b"})";
  outcome.progress = Progress{3, ~0ULL, "half \xff"};
  EXPECT_FALSE(as_success(outcome));
  const std::string text = to_json(outcome);
  EXPECT_THAT(text, HasSubstr("123456789012345678901234567890"));
  const json object = json::parse(text);
  EXPECT_EQ(object["result"]["nul"],
            "a\uFFFD"
            "b");
  EXPECT_EQ(object["progress"],
            json::parse("{\"done\": 3, \"total\": 9223372036854775807, \"note\": \"half \uFFFD\"}"));
  outcome.defers = {request_of("mail.send")};
  EXPECT_EQ(parsed(outcome)["defers"].size(), 1U);
  EXPECT_EQ(parsed(outcome)["result"], object["result"]);
  outcome.action = Action::fail;
  EXPECT_FALSE(parsed(outcome).contains("result"));
  EXPECT_TRUE(parsed(outcome).contains("progress")) << "how far it came";
  outcome.action = Action::release;
  EXPECT_FALSE(parsed(outcome).contains("progress"));
}

TEST(Faults, OfAResultAreNamed) {
  for (const char* result : {"1", "null", R"("text")", "[1, 2]", R"({"a": {}})"})
    EXPECT_EQ(fault_of_result(result), "") << result;
  EXPECT_EQ(fault_of_result(R"(1,"action":"fail")"), "its result is no JSON: mistake at byte 2");
  EXPECT_EQ(fault_of_result("\"" + std::string(kMaxResultBytes - 2, 'x') + "\""), "");
  EXPECT_THAT(fault_of_result("\"" + std::string(kMaxResultBytes - 1, 'x') + "\""),
              HasSubstr("its result has 1048577 bytes, more than the 1 MiB"));
  Outcome outcome = outcome_of(Action::succeed);
  outcome.result = "no JSON";
  EXPECT_THROW(to_json(outcome), std::invalid_argument);
}

// Each of these is correct JSON, or looks like it.
TEST(Faults, OfWhatPostgresqlCannotStoreAreNamed) {
  const std::string bom = "\xEF\xBB\xBF";
  EXPECT_EQ(fault_of_result(bom + "{}"), "its result is no JSON: mistake at byte 1");
  EXPECT_EQ(fault_of_result("[1e200000]"),
            "its result cannot be stored: the number at byte 2 is beyond what PostgreSQL stores");
  EXPECT_EQ(fault_of_result(std::string(501, '[') + std::string(501, ']')),
            "its result cannot be stored: it is nested more than 500 deep");
  DeferRequest request = request_of("t");
  request.args = R"({"n": 1e200000})";
  EXPECT_EQ(
      fault_of(request),
      "job of task \"t\": the arguments are not to be stored: the number at byte 7 is beyond what PostgreSQL "
      "stores");
  request.args = "{}";
  request.meta = R"({"n": 1e200000})";
  EXPECT_THAT(fault_of(request), HasSubstr("the meta is not to be stored: the number at byte 7"));
}

// What is no UTF-8 is stored as characters of three bytes each.
TEST(Faults, AreJudgedByWhatIsStored) {
  const std::string continuations(129, '\x80');
  DeferRequest request = request_of("t");
  request.queue = continuations;
  EXPECT_THAT(fault_of(request), HasSubstr("the queue name is longer than 128 characters"));
  request = request_of("t");
  request.lock = std::string(2000, '\xff');
  EXPECT_THAT(fault_of(request), HasSubstr("the lock is longer than 2000 bytes"));
  Outcome outcome = outcome_of(Action::retry);
  outcome.new_queue = continuations;
  EXPECT_EQ(fault_of_wishes(outcome), "the queue name for a retry is longer than 128 characters");
  EXPECT_THROW(to_json(outcome), std::invalid_argument);
  outcome.new_queue.reset();
  outcome.new_lock = std::string(2000, '\xff');
  EXPECT_EQ(fault_of_wishes(outcome), "the lock for a retry is longer than 2000 bytes");
  EXPECT_THROW(to_json(outcome), std::invalid_argument);
}

// However many followers there are.
TEST(OutcomeTexts, InheritedMetaTravelsOnce) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.defers.assign(1000, request_of("mail.send"));
  outcome.inherited_meta = R"({"tenant": ")" + std::string(8000, 'x') + R"("})";
  const std::string text = to_json(outcome);
  EXPECT_LT(text.size(), 100'000u);
  EXPECT_EQ(json::parse(text)["inherited_meta"], json::parse(*outcome.inherited_meta));
  outcome.inherited_meta = "[]";
  EXPECT_EQ(fault_of_wishes(outcome), "the meta that its followers inherit is not a JSON object");
  outcome.defers.clear();
  EXPECT_EQ(fault_of_wishes(outcome), "") << "nobody inherits it";
}

TEST(Faults, OfTooManyFollowersAreNamed) {
  Outcome outcome = outcome_of(Action::succeed);
  outcome.defers.assign(kMostDefers + 1, request_of("t"));
  EXPECT_EQ(
      fault_of_wishes(outcome),
      "it deferred 100001 jobs, more than the 100000 that one job may defer: let it defer fewer jobs that "
      "defer the rest");
  DeferRequest escaped = request_of("t");  // 24 kB as JSON
  escaped.lock = escaped.queueing_lock = std::string(2000, '\x01');
  outcome.defers.assign(1000, escaped);
  EXPECT_EQ(fault_of_wishes(outcome), "");
  outcome.defers.assign(1400, escaped);
  EXPECT_EQ(fault_of_wishes(outcome),
            "the jobs that it deferred take more than 32 MiB: let it defer fewer jobs that defer the rest");
}

TEST(Counts, StayAtTheGreatestThatTheDatabaseHolds) {
  EXPECT_EQ(cut_to_signed(7), 7);
  EXPECT_EQ(cut_to_signed(~0ULL), std::numeric_limits<std::int64_t>::max());
}

TEST(Faults, OfMetaAreNamed) {
  DeferRequest request = request_of("mail.send");
  request.meta = R"({"tenant": "ann"})";
  EXPECT_EQ(fault_of(request), "");
  request.meta = "[]";
  EXPECT_THAT(fault_of(request), HasSubstr("the meta is not a JSON object"));
  request.meta = R"({"a": ")" + std::string(8192 - 9, 'x') + R"("})";
  EXPECT_EQ(fault_of(request), "");
  request.meta =
      R"({"a":")" + std::string(8192 - 8, 'x') + R"("})";  // 8192 bytes, and a space as it is stored
  EXPECT_THAT(fault_of(request), HasSubstr("the meta has 8193 bytes: it may have 8192 at most"));
}

TEST(Meta, MayHaveATraceparentForTheLog) {
  EXPECT_EQ(traceparent_in(std::nullopt), "");
  EXPECT_EQ(traceparent_in(R"({"traceparent": "00-4bf92f-01"})"), "00-4bf92f-01");
  for (const char* meta :
       {"{}", R"({"traceparent": 1})", R"({"a": "traceparent"})", R"(["traceparent"])", "traceparent"})
    EXPECT_EQ(traceparent_in(meta), "") << meta;
  EXPECT_EQ(traceparent_in("{\"traceparent\": \"" + std::string(129, '0') + "\"}"), "");
}

TEST(Faults, AnOrdinaryJobHasNone) {
  DeferRequest request = request_of("dishes.wash");
  request.args = " {\"dish\": \"plate\"} ";
  request.task = std::string(127, 'x') + "é";  // 128 characters, 129 bytes
  EXPECT_EQ(fault_of(request), "");
}

TEST(Faults, AreNamed) {
  EXPECT_THAT(fault_of(request_of("")), HasSubstr("without a task name"));
  EXPECT_THAT(fault_of(request_of(std::string(129, 't'))), HasSubstr("its name is longer"));

  DeferRequest request = request_of("t");
  request.queue = std::string(129, 'q');
  EXPECT_EQ(fault_of(request), "job of task \"t\": the queue name is longer than 128 characters");
  request = request_of("t");
  request.lock = std::string(2001, 'l');
  EXPECT_EQ(fault_of(request), "job of task \"t\": the lock is longer than 2000 bytes");
  request = request_of("t");
  request.queueing_lock = std::string(2001, 'l');
  EXPECT_EQ(fault_of(request), "job of task \"t\": the queueing lock is longer than 2000 bytes");
}

TEST(Faults, EmptyIsNotAbsent) {
  DeferRequest request;
  request.task = "wash";
  EXPECT_EQ(fault_of(request), "");
  request.queue = "";
  EXPECT_THAT(fault_of(request), HasSubstr("the queue name is empty"));
  request.queue = "kitchen";
  request.lock = "";
  EXPECT_THAT(fault_of(request), HasSubstr("the lock is empty"));
  request.lock.reset();
  request.queueing_lock = "";
  EXPECT_THAT(fault_of(request), HasSubstr("the queueing lock is empty"));
  Outcome outcome;
  outcome.action = Action::retry;
  outcome.new_lock = "";
  EXPECT_THROW(to_json(outcome), std::invalid_argument);
}

TEST(Faults, ArgumentsMustBeAnObject) {
  const auto fault_of_args = [](const std::string& args) {
    DeferRequest request = request_of("t");
    request.args = args;
    return fault_of(request);
  };
  const std::string fault = "job of task \"t\": the arguments are not a JSON object";
  for (const char* args : {"", " ", "[]", "1", "null"}) EXPECT_EQ(fault_of_args(args), fault) << args;
  EXPECT_EQ(fault_of_args("{"), fault + ": mistake at byte 2");
  EXPECT_EQ(fault_of_args("{}}"), fault + ": mistake at byte 3");
  EXPECT_EQ(fault_of_args("{\"a\": }"), fault + ": mistake at byte 7");
  EXPECT_EQ(fault_of_args(R"({"n": 1e400, "a": "\ud800"})"), fault + ": mistake at byte 26");
  EXPECT_EQ(fault_of_args(R"({"n": 1e, "m": 2})"), fault + ": mistake at byte 9");
}

// PostgreSQL stores numbers that no double can hold.
TEST(Faults, NumbersMayBeOfAnySize) {
  DeferRequest request = request_of("t");
  for (const std::string& number :
       std::vector<std::string>{"1e400", "-1E-400", "1.5e+99999", std::string(400, '9'),
                                std::string(400, '9') + ".5", "0." + std::string(400, '9') + "e500"}) {
    request.args = R"({"e": "1e400\"", "n": )" + number + ", \"true\": [true, false]}";
    EXPECT_EQ(fault_of(request), "") << number;
  }
}

}  // namespace
}  // namespace postpone::sql

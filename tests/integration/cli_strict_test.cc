// `postpone` and what it is given: numbers, names, arguments and descriptors that are not what they seem.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kNotDone = 1, kUsage = 2 };

MATCHER(IsOneLine, "is one line") {
  return !arg.empty() && arg.find('\n') == arg.size() - 1;
}

class CliStrict : public CliStory {
 protected:
  // In a shell, which redirects what this leaves out; `postpone` stands for the program.
  ProgramRun shell(const std::string& command) const {
    return CliStory::shell("postpone() { \"$postpone\" \"$@\"; }; " + command);
  }
  std::string jobs() const { return sql("SELECT count(*) FROM procrastinate_jobs"); }

  void expect_refused(const std::vector<std::string>& arguments, const std::string& what) const {
    const ProgramRun result = run(arguments);
    EXPECT_EQ(result.exit_status, kUsage) << testing::PrintToString(arguments);
    EXPECT_THAT(result.output, IsEmpty()) << testing::PrintToString(arguments);
    EXPECT_THAT(result.errors, AllOf(IsOneLine(), HasSubstr(what))) << testing::PrintToString(arguments);
  }
};

// --- numbers ---

TEST_F(CliStrict, ANumberIsWhatAPersonReads) {
  EXPECT_THAT(run({"jobs", "cancel", "0123"}).errors, HasSubstr("there is no job 123\n"));
  EXPECT_EQ(run({"defer", "wash", "--priority", "010"}).exit_status, kDone);
  EXPECT_EQ(run({"defer", "wash", "--priority", "-5"}).exit_status, kDone);
  EXPECT_EQ(sql("SELECT string_agg(priority::text, ' ' ORDER BY id) FROM procrastinate_jobs"), "10 -5");
}

TEST_F(CliStrict, WhatIsNoNumberOrOneThatDoesNotFitIsRefused) {
  for (const char* id :
       {"0x6f", "1e3", "1.0", "9223372036854775808", "99999999999999999999", "+1", " 1", ""}) {
    expect_refused({"jobs", "show", id}, "id");
    expect_refused({"jobs", "cancel", "1", id}, "id");
    expect_refused({"jobs", "retry", id}, "id");
    expect_refused({"jobs", "finish", "--status", "failed", id}, "id");
    expect_refused({"stalled", "rescue", id}, "id");
    expect_refused({"stack", id}, "id");
  }
  for (const char* number : {"0x10", "2147483648", "1e3", "1.5", ""}) {
    expect_refused({"defer", "wash", "--priority", number}, "--priority");
    expect_refused({"jobs", "retry", "1", "--new-priority", number}, "--new-priority");
    expect_refused({"jobs", "list", "--limit", number}, "--limit");
    expect_refused({"locks", "--limit", number}, "--limit");
    expect_refused({"top", "--count", number}, "--count");
  }
  for (const char* seconds : {"0x1p3", "1e1", "inf", "nan", "-1", "0.01", "86401"})
    expect_refused({"queues", "--watch", seconds}, "--watch");
  for (const char* duration : {"0x5s", "1e3s", "5", "-5s", "99999999999999999999d", "inf", ""}) {
    expect_refused({"defer", "wash", "--in", duration}, "--in");
    expect_refused({"healthcheck", "--timeout", duration}, "--timeout");
    expect_refused({"stalled", "list", "--silent-for", duration}, "--silent-for");
  }
  EXPECT_EQ(jobs(), "0");
}

// --- empty names ---

TEST_F(CliStrict, AnEmptyNameIsMostOftenAVariableThatIsNotSet) {
  const std::vector<std::vector<std::string>> lines = {
      {"defer", "wash", "--queue", ""},
      {"defer", "wash", "--lock", ""},
      {"defer", "wash", "--queueing-lock", ""},
      {"defer", ""},
      {"defer", "--stdin", "--queue", ""},
      {"jobs", "retry", "1", "--new-queue", ""},
      {"jobs", "retry", "1", "--new-lock", ""},
      {"jobs", "cancel", "--queue", ""},
      {"jobs", "list", "--task", ""},
      {"jobs", "purge", "--older-than", "0s", "--status", "failed", "--queue", ""},
      {"queues", "--queue", ""},
      {"locks", "--lock", ""},
      {"workers", "--group", ""},
      {"status", "--socket", ""},
      {"jobs", "list", "--config", ""},
      {"jobs", "list", "--database-url", ""},
      {"defer", "wash", "--queue=", "{}"},
  };
  for (const auto& line : lines) expect_refused(line, "empty");
  EXPECT_EQ(jobs(), "0");
}

TEST_F(CliStrict, NorHasALineOfManyOne) {
  for (const char* key : {"task", "queue", "lock", "queueing_lock"}) {
    const ProgramRun result = run({"defer", "wash", "--stdin"}, std::string("{}\n{\"") + key + "\": \"\"}\n");
    EXPECT_EQ(result.exit_status, kNotDone) << key;
    EXPECT_THAT(result.errors, AllOf(IsOneLine(), HasSubstr("line 2, column "),
                                     HasSubstr("must not be empty"), HasSubstr("nothing is stored")));
  }
  EXPECT_EQ(jobs(), "0");
}

// --- arguments ---

TEST_F(CliStrict, ANulInOneLineOfManyIsFoundWhereItIs) {
  std::string input;
  for (int i = 0; i < 500; ++i) input += "{\"task\":\"a\"}\n";
  const ProgramRun result =
      run({"defer", "--stdin"}, input + R"({"task":"a","args":{"x":"\u0000"}})" + "\n" + input);
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors,
              AllOf(IsOneLine(), HasSubstr("line 501, column 26: a NUL"), HasSubstr("nothing is stored")));
}

TEST_F(CliStrict, ANulByteEndsNoTextAndAMarkIsNoPartOfIt) {
  const std::string nul(1, '\0');
  const std::string mark = "\xEF\xBB\xBF";
  const ProgramRun hidden = run({"defer", "--stdin"}, R"({"task":"wash"})" + nul + "{\"task\":\"dry\"}\n");
  EXPECT_EQ(hidden.exit_status, kNotDone) << hidden.output;
  EXPECT_THAT(hidden.errors, HasSubstr("line 1, column 16: a NUL byte"));
  EXPECT_EQ(run({"defer", "wash", "-"}, "{}" + nul + "{}").exit_status, kUsage);
  EXPECT_EQ(jobs(), "0");

  EXPECT_EQ(run({"defer", "wash", "-"}, mark + "{}").exit_status, kDone);
  const std::string line = "{\"task\":\"wash\"}\n";
  EXPECT_EQ(run({"defer", "--stdin"}, mark + line + line).exit_status, kDone);
  EXPECT_EQ(jobs(), "3");
  EXPECT_THAT(run({"defer", "--stdin"}, line + mark + line).errors,
              HasSubstr("line 2, column 1: a byte order mark (U+FEFF)"));
  EXPECT_THAT(run({"defer", "wash", mark + "{}"}).errors, HasSubstr("a byte order mark (U+FEFF)"));
  EXPECT_EQ(jobs(), "3");
}

// timeout(1) ends with 124 when SIGTERM was enough.
TEST_F(CliStrict, SignalsThatAParentHasBlockedEndItAllTheSame) {
  const ProgramRun result =
      shell("timeout -k 20 1 env --block-signal " POSTPONE_CLI " jobs list --watch 60 > /dev/null");
  EXPECT_EQ(result.exit_status, 124) << result.errors;
}

TEST_F(CliStrict, ArgumentsThatCannotBeStoredOrReadAreRefusedBeforeAnythingIsSent) {
  expect_refused({"defer", "wash", R"({"x": "\u0000"})"}, "line 1, column 8: a NUL");
  const ProgramRun deep =
      run({"defer", "wash", "-"}, "{\"x\":\n" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  EXPECT_EQ(deep.exit_status, kUsage);
  EXPECT_THAT(deep.errors, AllOf(IsOneLine(), HasSubstr("line 2, column 500: nested too deep")));
  EXPECT_EQ(jobs(), "0");
}

// --- descriptors and output ---

TEST_F(CliStrict, IdsThatNobodyWantsAreNotSentToTheServer) {
  const ProgramRun result =
      shell("(yes '{\"task\":\"a\"}' | head -3000) | postpone defer --stdin --print-ids >&-");
  EXPECT_EQ(result.exit_status, kDone) << result.errors;
  EXPECT_EQ(jobs(), "3000");
}

TEST_F(CliStrict, EveryDescriptorMayBeClosed) {
  EXPECT_EQ(shell("postpone jobs cancel 999999 2>&-").exit_status, kNotDone);
  EXPECT_EQ(shell("postpone defer wash <&- >&- 2>&-").exit_status, kDone);
  EXPECT_EQ(shell("postpone defer wash - <&- 2>&-").exit_status, kUsage)
      << "no arguments come from a closed input";
  EXPECT_THAT(shell("postpone jobs list <&-").output, HasSubstr("wash"));
  EXPECT_EQ(jobs(), "1");
}

TEST_F(CliStrict, WhatCannotBeWrittenIsNoSuccess) {
  for (const char* line :
       {"--help", "--version", "defer wash", "jobs list", "jobs list --json", "jobs count", "queues",
        "workers", "locks", "stalled list", "schema check", "schema show", "healthcheck", "completion bash",
        "jobs cancel --task wash", "queues --watch 0.1"}) {
    const ProgramRun result = shell("postpone " + std::string(line) + " > /dev/full");
    EXPECT_EQ(result.exit_status, kNotDone) << line;
    EXPECT_THAT(result.errors,
                AllOf(IsOneLine(), HasSubstr("cannot write to standard output: No space left")))
        << line;
  }
  EXPECT_EQ(shell("postpone schema show | head -n 1").exit_status, kDone)
      << "a reader that has had enough is no error";
  const ProgramRun ignoring = shell("trap '' PIPE; { postpone schema show; echo status $? >&2; } | true");
  EXPECT_THAT(ignoring.errors, AllOf(HasSubstr("status 1"), Not(HasSubstr("cannot write"))));
}

TEST_F(CliStrict, IdsThatCannotBePrintedEndTheLinesAndSayWhatIsStored) {
  const ProgramRun result =
      shell("(yes '{\"task\":\"a\"}' | head -3000) | postpone defer --stdin --print-ids > /dev/full");
  EXPECT_EQ(result.exit_status, kNotDone);
  EXPECT_THAT(result.errors, AllOf(IsOneLine(), HasSubstr("lines 1 to 1000 are stored")));
  EXPECT_EQ(jobs(), "1000");
}

}  // namespace
}  // namespace postpone::tests

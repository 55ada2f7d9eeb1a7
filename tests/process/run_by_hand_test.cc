// `run` of a task executable, with its options, and under debuggers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/program.h"

namespace libtask {
namespace {

using postpone::tests::ProgramRun;
using postpone::tests::read_file;
using postpone::tests::run_program;
using postpone::tests::TemporaryDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

constexpr const char* kFiles = POSTPONE_EXAMPLES_DIR "/files";
constexpr const char* kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
constexpr const char* kLetters = POSTPONE_EXAMPLES_DIR "/letters";

ProgramRun run(const char* program, std::vector<std::string> words, const std::string& input = "") {
  words.insert(words.begin(), {program, "run"});
  return run_program(words, {.input = input});
}

TEST(RunByHand, TheHandlerSeesTheJobThatTheOptionsDescribe) {
  EXPECT_EQ(run(POSTPONE_TEST_TASKS, {"test.show"}).output,
            "job 0, attempt 1, queue default, priority 0, lock , meta {}, deferred by 0\n");
  EXPECT_EQ(
      run(POSTPONE_TEST_TASKS, {"--id", "17", "test.show", "--attempt=3", "--queue", "kitchen", "--priority",
                                "-5", "{}", "--lock=sink", R"(--meta={"tenant": "ann"})", "--deferred-by=16"})
          .output,
      R"(job 17, attempt 3, queue kitchen, priority -5, lock sink, meta {"tenant": "ann"}, deferred by 16)"
      "\n");
}

TEST(RunByHand, TheAttemptDecidesAboutTheRetry) {
  const std::string args = R"({"path": "/nowhere"})";
  EXPECT_THAT(run(kFiles, {"files.hash", args}).errors, HasSubstr("\nwould be retried in 1 s\n"));
  EXPECT_THAT(run(kFiles, {"files.hash", args, "--attempt", "3"}).errors,
              HasSubstr("\nwould be retried in 5 s\n"));
  EXPECT_THAT(run(kFiles, {"files.hash", args, "--attempt", "4"}).errors,
              HasSubstr("\nwould not be retried: it has had all of its 3 retries\n"));
}

TEST(RunByHand, AbortComesAfterItsTime) {
  const ProgramRun result = run(kMisbehave, {"misbehave.wait", "--abort-after", "20ms"});
  EXPECT_EQ(result.exit_status, 1);
  EXPECT_EQ(result.errors, "aborted: aborted on request\n");
}

TEST(RunByHand, JsonStandsAloneOnStandardOutput) {
  const TemporaryDirectory files;
  std::ofstream(files.file("abc")) << "abc";
  const ProgramRun result =
      run(kFiles, {"files.hash", R"({"path": ")" + files.file("abc") + R"("})", "--json"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_THAT(result.errors, HasSubstr("ba7816bf8f01cfea")) << "what the handler writes to stdout";
  const Json outcome = Json::parse(result.output);
  EXPECT_EQ(outcome["task"], "files.hash");
  EXPECT_EQ(outcome["status"], "succeeded");
  EXPECT_EQ(outcome["cause"], "succeeded");
  EXPECT_EQ(outcome["exception_type"], nullptr);
  EXPECT_EQ(outcome["retry"], nullptr);
  EXPECT_EQ(outcome["progress"], Json({{"done", 3}, {"total", 3}, {"note", ""}}));
  EXPECT_GT(outcome["run_time_s"], 0.0);
}

TEST(RunByHand, JsonTellsWhatWouldBecomeOfTheJob) {
  const ProgramRun missing = run(kFiles, {"files.hash", R"({"path": "/nowhere"})", "--json"});
  EXPECT_EQ(missing.exit_status, 1);
  const Json retried = Json::parse(missing.output);
  EXPECT_EQ(retried["status"], "todo");
  EXPECT_EQ(retried["cause"], "exception");
  EXPECT_EQ(retried["exception_type"], "std::filesystem::filesystem_error");
  EXPECT_EQ(
      retried["retry"],
      Json({{"in_s", 1}, {"priority", nullptr}, {"queue", nullptr}, {"lock", nullptr}, {"counts", true}}));

  const TemporaryDirectory files;
  std::ofstream(files.file("a")) << "text";
  const Json walked = Json::parse(
      run(kFiles, {"files.walk", R"({"root": ")" + files.file("") + R"(", "target": "/tmp/x"})", "--json"})
          .output);
  ASSERT_THAT(walked["defers"], SizeIs(2));
  EXPECT_EQ(walked["defers"][0]["args"]["path"], files.file("a"));
  EXPECT_EQ(walked["defers"][0]["queue"], "files");

  const ProgramRun bad = run(kFiles, {"files.hash", "--json"});
  EXPECT_EQ(bad.exit_status, 2);
  EXPECT_EQ(Json::parse(bad.output)["cause"], "bad_arguments");
  const Json odd = Json::parse(run(POSTPONE_TEST_TASKS, {"test.gibberish", "--json"}).output);
  EXPECT_EQ(odd["message"], "no ? text");
}

TEST(RunByHand, ArgumentsComeFromStandardInputOrAFile) {
  const TemporaryDirectory files;
  std::ofstream(files.file("args.json")) << R"({"message": "of a file"})";
  EXPECT_THAT(run(kMisbehave, {"misbehave.throw", "-"}, R"({"message": "of stdin"})").errors,
              HasSubstr("of stdin"));
  EXPECT_THAT(run(kMisbehave, {"misbehave.throw", "@" + files.file("args.json")}).errors,
              HasSubstr("of a file"));
  EXPECT_EQ(run(kMisbehave, {"misbehave.throw", "@/nowhere"}).errors,
            "misbehave: there is no file /nowhere to read the arguments from\n");
}

TEST(RunByHand, HelpIsGivenWhereverItIsAskedFor) {
  const auto result = run(POSTPONE_TEST_TASKS, {"test.show", "--help"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_THAT(result.output, HasSubstr("--abort-after DURATION"));
}

TEST(RunByHand, ADirectoryHoldsNoArguments) {
  const auto result = run(POSTPONE_TEST_TASKS, {"test.show", "@/"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.errors, HasSubstr("nothing can be read from /"));
}

TEST(RunByHand, MistakesInOptionsAreOneLine) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> mistakes = {
      {{"misbehave.noop", "--attempt", "0"}, "--attempt: \"0\" is no whole number from 1 up"},
      {{"misbehave.noop", "--attempt", "3x"}, "--attempt: \"3x\" is no whole number from 1 up"},
      {{"misbehave.noop", "--attempt"}, "--attempt needs a value"},
      {{"misbehave.noop", "--abort-after", "2"},
       "--abort-after: \"2\" is no duration; write 500ms, 1.5s, 5m or 2h"},
      {{"misbehave.noop", "--tries", "2"}, "run has no option --tries; see --help"},
      {{}, "run takes the name of a task, and its arguments as one JSON text; see --help"},
      {{"a", "b", "c"}, "run takes the name of a task, and its arguments as one JSON text; see --help"},
  };
  for (const auto& [words, message] : mistakes) {
    const ProgramRun result = run(kMisbehave, words);
    EXPECT_EQ(result.exit_status, 2) << message;
    EXPECT_EQ(result.errors, "misbehave: " + message + "\n");
  }
}

// --- debuggers -----------------------------------------------------------------------------------------

// Sanitizers bring their own runtime, which neither gdb nor valgrind goes with.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

class UnderADebugger : public ::testing::Test {
 protected:
  void need(const char* program) {
    if (kIsSanitized) GTEST_SKIP() << program << " does not go with a sanitizer";
    if (run_program({program, "--version"}).exit_status != 0)
      GTEST_SKIP() << program << " is not installed (Debian: apt-get install " << program << ")";
  }
  std::string letter() const {
    return R"({"file": ")" + files_.file("letters") + R"(", "letter": "a", "max_ms": 1})";
  }

  TemporaryDirectory files_;
};

TEST_F(UnderADebugger, ValgrindFindsNoFaultOfLibtask) {
  need("valgrind");
  if (IsSkipped()) return;
  const ProgramRun result =
      run_program({"valgrind", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite",
                   kLetters, "run", "letters.append", letter()});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_THAT(result.errors, AllOf(HasSubstr("ERROR SUMMARY: 0 errors"), HasSubstr("succeeded in ")));
  EXPECT_EQ(read_file(files_.file("letters")), "a");
}

TEST_F(UnderADebugger, ValgrindTellsTheFaultOfAHandler) {
  need("valgrind");
  if (IsSkipped()) return;
  const ProgramRun result =
      run_program({"valgrind", "--error-exitcode=99", kMisbehave, "run", "misbehave.segfault"});
  EXPECT_NE(result.exit_status, 0);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("Invalid write"), HasSubstr("segfault")));
}

TEST_F(UnderADebugger, GdbStopsInAHandlerAndGoesOn) {
  need("gdb");
  if (IsSkipped()) return;
  const ProgramRun result = run_program(
      {"gdb", "--batch", "-ex", "set debuginfod enabled off", "-ex", "break libtask::detail::execute", "-ex",
       "run", "-ex", "backtrace", "-ex", "continue", "--args", kLetters, "run", "letters.append", letter()});
  if (result.errors.find("ptrace: Operation not permitted") != std::string::npos)
    GTEST_SKIP() << "the kernel lets no process trace another one here";
  EXPECT_THAT(result.output, AllOf(HasSubstr("libtask::detail::execute"), HasSubstr("exited normally")));
  EXPECT_EQ(read_file(files_.file("letters")), "a");
}

TEST_F(UnderADebugger, GdbShowsWhereAHandlerCrashed) {
  need("gdb");
  if (IsSkipped()) return;
  const ProgramRun result =
      run_program({"gdb", "--batch", "-ex", "set debuginfod enabled off", "-ex", "run", "-ex", "backtrace",
                   "--args", kMisbehave, "run", "misbehave.segfault"});
  if (result.errors.find("ptrace: Operation not permitted") != std::string::npos)
    GTEST_SKIP() << "the kernel lets no process trace another one here";
  EXPECT_THAT(result.output, AllOf(HasSubstr("SIGSEGV"), HasSubstr("segfault ()"), HasSubstr("main")));
}

}  // namespace
}  // namespace libtask

// `postpone jobs replay`: a job that has ended, once more, in a task executable here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cli_story.h"
#include "tests/support/files.h"
#include "tests/support/language.h"

namespace postpone::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kLetters = POSTPONE_EXAMPLES_DIR "/letters";
constexpr const char* kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";

class CliReplay : public CliStory {
 protected:
  // A job that has failed after three attempts.
  std::string failed(const std::string& task, const std::string& args) const {
    return sql(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, attempts, priority, lock, "
        "meta) "
        "VALUES ('letters', '" +
        task + "', '" + args + R"(', 'failed', 3, 7, 'l', '{"tenant": "ann"}') RETURNING id)");
  }
  ProgramRun replay(const std::string& id, std::vector<std::string> more) const {
    more.insert(more.begin(), {"jobs", "replay", id});
    return run(std::move(more));
  }
  std::string rows() const {
    return sql(
        "SELECT string_agg(job::text, ' ') || (SELECT count(*) FROM procrastinate_events) || "
        "(SELECT count(*) FROM postpone_attempts) FROM procrastinate_jobs AS job");
  }

  TemporaryDirectory files_;
};

TEST_F(CliReplay, RunsTheArgumentsAndRecordsNothing) {
  const std::string file = files_.file("letters");
  const std::string id =
      failed("letters.append", R"({"file": ")" + file + R"(", "letter": "ä", "max_ms": 1})");
  const std::string before = rows();
  const ProgramRun result = replay(id, {kLetters});
  EXPECT_EQ(result.exit_status, 0) << result.errors;
  EXPECT_THAT(result.errors,
              MatchesRegex("postpone: job " + id +
                           ": letters.append, failed, read from database .* on host .*; it runs here now, "
                           "and nothing is recorded there\nsucceeded in .* s\n"));
  EXPECT_EQ(read_file(file), "ä");
  EXPECT_EQ(rows(), before);
}

TEST_F(CliReplay, TheHandlerSeesTheJobAsItWasAndNoDatabase) {
  const std::string id = failed("test.show", "{}");
  for (const Language language : kLanguages) {
    const ProgramRun result = replay(id, {test_tasks_in(language)});
    EXPECT_EQ(result.output,
              "job " + id +
                  R"(, attempt 3, queue letters, priority 7, lock l, meta {"tenant": "ann"}, deferred by 0)" +
                  "\n")
        << result.errors;
  }
  EXPECT_THAT(replay(id, {"--attempt", "1", POSTPONE_TEST_TASKS}).output, HasSubstr("attempt 1,"));
  const ProgramRun environment = replay(id, {"--", "sh", "-c", "env"});
  EXPECT_EQ(environment.exit_status, 0);
  EXPECT_THAT(environment.output, Not(HasSubstr("POSTPONE_DATABASE_URL")));
}

TEST_F(CliReplay, ExitCodeAndOutcomeAreThoseOfTheTaskExecutable) {
  const std::string id = failed("misbehave.throw", R"({"message": "out of plates"})");
  const ProgramRun result = replay(id, {"--json", kMisbehave});
  EXPECT_EQ(result.exit_status, 1);
  const auto outcome = nlohmann::json::parse(result.output);
  EXPECT_EQ(outcome["status"], "failed");
  EXPECT_EQ(outcome["attempt"], 3);
  EXPECT_EQ(outcome["message"], "out of plates");
  const ProgramRun aborted = replay(failed("misbehave.wait", "{}"), {"--abort-after", "10ms", kMisbehave});
  EXPECT_THAT(aborted.errors, HasSubstr("\naborted: aborted on request\n"));
}

// A command line holds 128 KiB, and any user of the host can read it.
TEST_F(CliReplay, ArgumentsOfAnyLengthStandOnNoCommandLine) {
  const std::string id = failed("misbehave.throw", R"({"message": ")" + std::string(300'000, 'x') + R"("})");
  EXPECT_THAT(replay(id, {kMisbehave}).errors, HasSubstr("failed: std::runtime_error: xxxxxxxx"));
  EXPECT_THAT(replay(id, {"--", "sh", "-c", "echo \"$0 $*\""}).output,
              StartsWith("run misbehave.throw @/dev/fd/"));
}

TEST_F(CliReplay, AJobThatHasNotEndedIsRefused) {
  const std::string waits = sql("SELECT postpone_defer('wash')");
  const ProgramRun waiting = replay(waits, {kLetters});
  EXPECT_EQ(waiting.exit_status, kNotDone);
  EXPECT_EQ(waiting.errors,
            "postpone: job " + waits + " waits (todo), and only a job that has ended can be replayed\n");
  sql("UPDATE procrastinate_jobs SET status = 'doing'");
  EXPECT_THAT(replay(waits, {kLetters}).errors, HasSubstr("is running (doing)"));
  EXPECT_THAT(replay("4711", {kLetters}).errors, StartsWith("postpone: there is no job 4711 (database "));
}

TEST_F(CliReplay, MistakesOfTheCallerAreOneLine) {
  const std::string id = failed("letters.append", "{}");
  const ProgramRun nowhere = replay(id, {"/nowhere/tasks"});
  EXPECT_EQ(nowhere.exit_status, kNotDone);
  EXPECT_THAT(nowhere.errors,
              HasSubstr("\npostpone: cannot start /nowhere/tasks: No such file or directory\n"));
  EXPECT_EQ(replay(id, {}).exit_status, kUsage);
  EXPECT_EQ(replay(id, {"--attempt", "0", kLetters}).exit_status, kUsage);
  EXPECT_THAT(replay(id, {kMisbehave}).errors, HasSubstr("no task is called \"letters.append\""));
  EXPECT_THAT(replay(id, {kLetters}).errors, HasSubstr("bad arguments: argument \"file\""));
}

}  // namespace
}  // namespace postpone::tests

#include "sys/process_title.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "sys/process.h"

namespace postpone::sys {
namespace {

using namespace std::chrono_literals;

struct Seen {
  std::string command_line;  // as the kernel shows it
  std::string secret_is;     // in what the kernel shows of the environment
  std::string argument;      // as the program itself sees it
  std::string variable;
};

// What a program sees and shows under the title `text`, so many times.
Seen under_title(const std::string& text, int times) {
  ProcessSpec spec{.executable = POSTPONE_PROBE, .arguments = {"title", text, std::to_string(times)}};
  spec.environment = {{"PROBE_SECRET", "hush"}, {"PADDING", std::string(1000, 'x')}};
  const Captured captured = run_and_capture(spec, 30s, 1 << 20);
  EXPECT_EQ(captured.problem, "") << captured.diagnostics;
  std::istringstream lines(captured.output);
  Seen seen;
  std::getline(lines, seen.command_line);
  std::getline(lines, seen.secret_is);
  std::getline(lines, seen.argument);
  std::getline(lines, seen.variable);
  return seen;
}

TEST(ProcessTitle, IsWhatPsShows) {
  EXPECT_EQ(under_title("idle", 1).command_line, "postpone: idle");
}

TEST(ProcessTitle, MayBeLongerThanTheArgumentsWere) {
  EXPECT_EQ(under_title("y", 900).command_line, "postpone: " + std::string(900, 'y'));
}

TEST(ProcessTitle, IsCutToTheRoomThereIs) {
  const Seen seen = under_title("z", 100'000);
  EXPECT_THAT(seen.command_line, testing::StartsWith("postpone: zzz"));
  EXPECT_THAT(seen.command_line, testing::SizeIs(testing::AllOf(testing::Gt(1000U), testing::Lt(5000U))));
  EXPECT_EQ(seen.variable, "hush");
}

TEST(ProcessTitle, WipesTheEnvironmentThatTheKernelShows) {
  EXPECT_EQ(under_title("idle", 1).secret_is, "hidden");
}

TEST(ProcessTitle, LeavesArgumentsAndEnvironmentToTheProgram) {
  const Seen seen = under_title("idle", 1);
  EXPECT_EQ(seen.argument, "title");
  EXPECT_EQ(seen.variable, "hush");
}

TEST(ProcessTitle, DoesNothingUnlessInitialised) {
  set_process_title("nothing");
}

}  // namespace
}  // namespace postpone::sys

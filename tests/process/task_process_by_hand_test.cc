// Task executables on the command line, without a database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "libtask/wire/description.h"
#include "sys/fd.h"
#include "sys/process.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"

namespace libtask {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using postpone::tests::ProgramRun;
using postpone::tests::run_program;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr const char* kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
constexpr const char* kInvoices = POSTPONE_EXAMPLES_DIR "/invoices";
constexpr const char* kFiles = POSTPONE_EXAMPLES_DIR "/files";
constexpr const char* kLetters = POSTPONE_EXAMPLES_DIR "/letters";

class Directory {
 public:
  Directory() : path(fs::path(::testing::TempDir()) / ("by-hand-" + std::to_string(getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { fs::remove_all(path); }

  const fs::path path;
};

bool catches(pid_t pid, int signal_number) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigCgt:")) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> (signal_number - 1) & 1U) != 0;
  }
  return false;
}

std::string quoted(const fs::path& path) {
  return '"' + path.string() + '"';
}

TEST(ByHand, WithoutDevNullAProgramSaysWhyItEnds) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const ProgramRun run =
      run_program({"unshare", "--mount", "sh", "-c",
                   std::string("mount -t tmpfs none /dev; exec ") + kMisbehave + " --list <&-"});
  EXPECT_EQ(run.exit_status, 1);
  EXPECT_THAT(run.errors, HasSubstr("cannot open /dev/null in the place of a standard descriptor"));
}

TEST(ByHand, EveryExampleDescribesItself) {
  for (const char* example : {kFiles, kInvoices, kLetters, kMisbehave}) {
    const ProgramRun run = run_program({example, "--describe"});
    EXPECT_EQ(run.exit_status, 0);
    EXPECT_THAT(run.errors, IsEmpty());
    EXPECT_FALSE(wire::parse_description(run.output).tasks.empty());
  }
}

TEST(ByHand, SucceedingJobEndsWithZeroAndKeepsStdoutForTheTask) {
  const Directory directory;
  std::ofstream(directory.path / "abc") << "abc";
  const ProgramRun run =
      run_program({kFiles, "run", "files.hash", "{\"path\": " + quoted(directory.path / "abc") + "}"});
  EXPECT_EQ(run.exit_status, 0);
  EXPECT_EQ(run.output, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  " +
                            (directory.path / "abc").string() + "\n");
  EXPECT_THAT(run.errors, MatchesRegex("progress: 3 of 3\nsucceeded in .* s\n"));
}

TEST(ByHand, LettersAreAppended) {
  const Directory directory;
  const fs::path file = directory.path / "letters";
  for (const char* letter : {"a", "b"}) {
    const std::string args =
        "{\"file\": " + quoted(file) + ", \"letter\": \"" + letter + "\", \"max_ms\": 1}";
    EXPECT_EQ(run_program({kLetters, "run", "letters.append", args}).exit_status, 0);
  }
  std::string text;
  std::ifstream(file) >> text;
  EXPECT_EQ(text, "ab");
}

TEST(ByHand, CompressedFileIsThatFile) {
  const Directory directory;
  const fs::path file = directory.path / "zeros";
  std::ofstream(file) << std::string(1'000'000, '0');
  const fs::path target = directory.path / "target";
  const ProgramRun run =
      run_program({kFiles, "run", "files.compress",
                   "{\"path\": " + quoted(file) + ", \"target\": " + quoted(target) + "}"});
  EXPECT_EQ(run.exit_status, 0) << run.errors;
  EXPECT_THAT(run.output, HasSubstr(": 1000000 -> "));
  const fs::path compressed = target / file.relative_path().parent_path() / "zeros.gz";
  EXPECT_EQ(run_program({"gzip", "-dc", compressed.string()}).output, std::string(1'000'000, '0'));
  EXPECT_EQ(std::distance(fs::directory_iterator(compressed.parent_path()), {}), 1);
}

TEST(ByHand, DeferredJobsAreShown) {
  const Directory directory;
  std::ofstream(directory.path / "a") << "text";
  const ProgramRun run = run_program(
      {kFiles, "run", "files.walk", "{\"root\": " + quoted(directory.path) + ", \"target\": \"/tmp/x\"}"});
  EXPECT_EQ(run.exit_status, 0);
  EXPECT_THAT(run.errors, HasSubstr("would defer files.hash {\"path\":" + quoted(directory.path / "a") +
                                    "} (queue files)\n"));
}

TEST(ByHand, FailingJobEndsWithOne) {
  const ProgramRun run =
      run_program({kMisbehave, "run", "misbehave.throw", R"({"message": "out of plates"})"});
  EXPECT_EQ(run.exit_status, 1);
  EXPECT_EQ(run.errors, "failed: std::runtime_error: out of plates\n");
}

TEST(ByHand, RetryIsAnnouncedOnlyForTheExceptionsItIsFor) {
  const ProgramRun missing = run_program({kFiles, "run", "files.hash", R"({"path": "/nowhere"})"});
  EXPECT_EQ(missing.exit_status, 1);
  EXPECT_EQ(
      missing.errors,
      "failed: std::filesystem::filesystem_error: filesystem error: cannot get file size: No such file or "
      "directory [/nowhere]\nwould be retried in 1 s\n");
}

TEST(ByHand, MistakesOnTheCommandLineEndWithTwo) {
  const ProgramRun unknown = run_program({kLetters, "run", "letters.prepend"});
  EXPECT_EQ(unknown.exit_status, 2);
  EXPECT_EQ(unknown.errors, "letters: no task is called \"letters.prepend\"; it has: letters.append\n");

  const ProgramRun missing =
      run_program({kLetters, "run", "letters.append", R"({"file": "x", "letter": "a"})"});
  EXPECT_EQ(missing.exit_status, 2);
  EXPECT_EQ(missing.errors,
            "bad arguments: argument \"max_ms\" of letters.append is missing: expected integer\n");

  const ProgramRun broken = run_program({kLetters, "run", "letters.append", "{'file': 'x'}"});
  EXPECT_EQ(broken.exit_status, 2);
  EXPECT_EQ(broken.errors,
            "letters: the arguments are not JSON at byte 1: expected a string (in double quotes)\n");

  const ProgramRun nothing = run_program({kLetters});
  EXPECT_EQ(nothing.exit_status, 2);
  EXPECT_THAT(nothing.errors, StartsWith("A task executable of Postpone."));
}

TEST(ByHand, WhatCannotBeWrittenIsNoSuccess) {
  for (const char* word : {"--help", "--list", "--describe"}) {
    EXPECT_EQ(run_program({"bash", "-c", std::string(kLetters) + " " + word + " > /dev/full"}).exit_status, 1)
        << word;
  }
}

// The file that the handler opens would be descriptor 1.
TEST(ByHand, AClosedStandardOutputIsNotTheFileOfAHandler) {
  const Directory directory;
  const fs::path file = directory.path / "letters";
  const std::string args = "{\"file\": " + quoted(file) + R"(, "letter": "a", "max_ms": 1})";
  EXPECT_EQ(run_program({"bash", "-c", std::string(kLetters) + " run letters.append '" + args + "' >&-"})
                .exit_status,
            0);
  std::string text;
  std::ifstream(file) >> text;
  EXPECT_EQ(text, "a");
}

TEST(ByHand, CrashAndExitAreThoseOfTheProcess) {
  EXPECT_EQ(run_program({kMisbehave, "run", "misbehave.segfault"}).exit_status, 128 + SIGSEGV);
  EXPECT_EQ(run_program({kMisbehave, "run", "misbehave.abort"}).exit_status, 128 + SIGABRT);
  EXPECT_EQ(run_program({kMisbehave, "run", "misbehave.exit", R"({"status": 9})"}).exit_status, 9);
}

// The first Ctrl-C asks, the second ends the process; so it is sent once, when the kernel says that it will
// be caught.
TEST(ByHand, InterruptAsksTheJobToStop) {
  auto errors = postpone::sys::make_pipe();
  auto process = postpone::sys::Process::spawn({.executable = kMisbehave,
                                                .arguments = {"run", "misbehave.wait"},
                                                .environment = {},
                                                .descriptors = {{errors.second.get(), 2}}});
  errors.second.reset();
  ASSERT_TRUE(postpone::tests::eventually([&] { return catches(process.pid(), SIGINT); }));
  process.signal(SIGINT);
  const auto report = process.reap_within(30s);
  ASSERT_TRUE(report);
  EXPECT_EQ(to_string(*report), "exit status 1");
  std::array<char, 1000> said{};
  const ssize_t size = read(errors.first.get(), said.data(), said.size());
  EXPECT_EQ(std::string(said.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))),
            "aborted: aborted on request\n");
}

TEST(ByHand, ChannelThatIsNoneIsTold) {
  const ProgramRun closed =
      run_program({kLetters, "--list"}, {.environment = {{"POSTPONE_TASK_CHANNEL", "77"}}});
  EXPECT_EQ(closed.exit_status, 70);
  EXPECT_EQ(closed.errors,
            "libtask: POSTPONE_TASK_CHANNEL is set, but descriptor 77 is no channel: Bad file descriptor\n");
  const ProgramRun nonsense =
      run_program({kLetters, "--list"}, {.environment = {{"POSTPONE_TASK_CHANNEL", "x"}}});
  EXPECT_EQ(nonsense.exit_status, 70);
  EXPECT_THAT(nonsense.errors, HasSubstr("is no descriptor"));
}

}  // namespace
}  // namespace libtask

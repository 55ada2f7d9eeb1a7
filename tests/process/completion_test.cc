// Completion in the real shells (bash, fish, zsh), by the scripts that are installed. --help gives the lines
// to complete, and the words that the shell must offer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "help.h"
#include "manual/completion.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAreArray;

// The words that a shell offers, each with its description where the shell shows one.
using Offer = std::map<std::string, std::string>;

const std::string kDrivers = POSTPONE_SOURCE_DIR "/tests/process/completion/";

std::string script_of(const std::string& program, const std::string& shell) {
  return std::string(POSTPONE_BUILD_DIR "/packaging/") + program + "." + shell;
}

// Of "--status=todo" and "doing,todo" the shells offer all, or what follows the last of these characters.
std::string last_part(const std::string& word) {
  const std::size_t at = word.find_last_of("=,");
  return at == std::string::npos ? word : word.substr(at + 1);
}

std::vector<Offer> read_offers(const std::string& text) {
  std::vector<Offer> offers(1);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) {
      offers.emplace_back();
      continue;
    }
    const std::size_t tab = std::min(line.find('\t'), line.size());
    offers.back()[last_part(line.substr(0, tab))] = tab < line.size() ? line.substr(tab + 1) : "";
  }
  offers.pop_back();
  return offers;
}

std::vector<std::string> words(const Offer& offer) {
  std::vector<std::string> result;
  for (const auto& [word, description] : offer) result.push_back(word);
  return result;
}

class Completion : public testing::TestWithParam<std::string> {
 protected:
  // The words that the shell offers at the end of each line, in the directory of the sources.
  static std::vector<Offer> complete_all(const std::vector<std::string>& lines, const std::string& script) {
    std::string input;
    for (const std::string& line : lines) input += line + "\n";
    const ProgramRun run =
        run_program({kDrivers + GetParam(), script}, {.input = input, .directory = POSTPONE_SOURCE_DIR});
    EXPECT_EQ(run.errors, "");
    EXPECT_EQ(run.exit_status, 0);
    std::vector<Offer> offers = read_offers(run.output);
    EXPECT_EQ(offers.size(), lines.size()) << run.output;
    offers.resize(lines.size());
    return offers;
  }
  // The same, with the script of the program that the lines begin with.
  static std::vector<Offer> complete_all(const std::vector<std::string>& lines) {
    const std::string program = lines.front().substr(0, lines.front().find(' '));
    return complete_all(lines, script_of(program, GetParam()));
  }
  static std::vector<std::string> complete(const std::string& line) {
    return words(complete_all({line}).front());
  }

  static void expect_all_is_known(const std::string& program) {
    const std::vector<Help> helps = walk_help(program);
    std::vector<std::string> lines;
    for (const Help& help : helps) {
      lines.push_back(help.path + " ");
      lines.push_back(help.path + " --");
    }
    const std::vector<Offer> offers = complete_all(lines);
    for (std::size_t i = 0; i < helps.size(); ++i) {
      EXPECT_THAT(words(offers[2 * i + 1]), IsSupersetOf(helps[i].options)) << lines[2 * i + 1];
      if (!helps[i].commands.empty()) {
        EXPECT_EQ(words(offers[2 * i]), words(helps[i].commands)) << lines[2 * i];
      }
    }
  }
};

TEST_P(Completion, KnowsEveryCommandAndOptionThatHelpNames) {
  expect_all_is_known(POSTPONE_CLI);
  expect_all_is_known(POSTPONE_SUPERVISOR);
}

TEST_P(Completion, OffersOptionsOfPostponeItselfBehindEveryCommand) {
  EXPECT_THAT(complete("postpone jobs list --"), IsSupersetOf({"--config", "--database-url"}));
  EXPECT_THAT(complete("postpone jobs list --"), Not(Contains("--version")));
}

TEST_P(Completion, FinishesAWordThatIsBegun) {
  EXPECT_THAT(complete("postpone sta"), ElementsAre("stack", "stalled", "status"));
  EXPECT_THAT(complete("postpone jobs list --sta"), ElementsAre("--status"));
  EXPECT_THAT(complete("postpone completion z"), ElementsAre("zsh"));
}

TEST_P(Completion, OffersTheWordsThatAValueMayBe) {
  const std::vector<std::string> keys = {"elapsed", "memory", "cpu", "jobs", "task", "slot"};
  EXPECT_THAT(complete("postpone top --sort "), UnorderedElementsAreArray(keys));
  EXPECT_THAT(complete("postpone top --sort="), UnorderedElementsAreArray(keys));
  EXPECT_THAT(complete("postpone top --sort=m"), ElementsAre("memory"));
  EXPECT_THAT(complete("postpone stalled rescue --action "), ElementsAre("fail", "retry"));
  EXPECT_THAT(complete("postpone completion "), ElementsAre("bash", "fish", "zsh"));
  EXPECT_THAT(complete("postpone-supervisor --log-level "),
              ElementsAre("debug", "error", "info", "trace", "warning"));
}

TEST_P(Completion, OffersAFurtherWordBehindTheCommaOfAList) {
  EXPECT_THAT(complete("postpone jobs list --status todo,d"), ElementsAre("doing"));
  EXPECT_THAT(complete("postpone jobs purge --status="),
              ElementsAre("aborted", "cancelled", "failed", "succeeded"));
}

TEST_P(Completion, OffersFilesWhereOneIsMeant) {
  EXPECT_THAT(complete("postpone --config READ"), ElementsAre("README.md"));
  EXPECT_THAT(complete("postpone jobs list --config=READ"), ElementsAre("README.md"));
  EXPECT_THAT(complete("postpone status --socket READ"), ElementsAre("README.md"));
  EXPECT_THAT(complete("postpone config check READ"), ElementsAre("README.md"));
  EXPECT_THAT(complete("postpone-supervisor -c READ"), ElementsAre("README.md"));
  EXPECT_THAT(complete("postpone jobs show READ"), IsEmpty());
  EXPECT_THAT(complete("postpone jobs list --queue READ"), IsEmpty());
}

TEST_P(Completion, TakesNoValueForACommand) {
  EXPECT_THAT(complete("postpone --config jobs "), Contains("schema"));
  EXPECT_THAT(complete("postpone --config=jobs "), Contains("schema"));
  EXPECT_THAT(complete("postpone --database-url postgresql://cook@host:5432/jobs jobs "), Contains("purge"));
  EXPECT_THAT(complete("postpone jobs --config jobs list --"), Contains("--oldest-first"));
}

INSTANTIATE_TEST_SUITE_P(Shells, Completion, testing::Values("bash", "fish", "zsh"),
                         [](const auto& info) { return info.param; });

// bash shows no descriptions.
class CompletionWithDescriptions : public Completion {};

TEST_P(CompletionWithDescriptions, SaysOfCommandsWhatHelpSays) {
  for (const Help& help : walk_help(POSTPONE_CLI)) {
    if (!help.commands.empty()) {
      EXPECT_EQ(complete_all({help.path + " "}).front(), help.commands) << help.path;
    }
  }
}

TEST_P(CompletionWithDescriptions, SaysWhatAnOptionDoes) {
  EXPECT_EQ(complete_all({"postpone top --sor"}).front(), (Offer{{"--sort", "Sort by this [elapsed]"}}));
}

TEST_P(CompletionWithDescriptions, ShowsWhatMeansSomethingToAShellAsItIs) {
  const std::string awkward = R"(it's [a] \thing: `date` $HOME $(date) "q"; *? %s \n @@ {a,b})";
  manual::Command program{.path = "odd-one", .name = "odd-one"};
  program.options = {{.names = {"-x", "--extra"}, .description = awkward}};
  program.commands = {{.path = "odd-one go", .name = "go", .description = awkward}};
  const TemporaryDirectory directory;
  std::ofstream(directory.file("script")) << manual::completion(program, GetParam());
  const std::vector<Offer> offers = complete_all({"odd-one ", "odd-one --"}, directory.file("script"));
  EXPECT_EQ(offers[0], (Offer{{"go", awkward}}));
  EXPECT_EQ(offers[1], (Offer{{"--extra", awkward}}));
}

INSTANTIATE_TEST_SUITE_P(Shells, CompletionWithDescriptions, testing::Values("fish", "zsh"),
                         [](const auto& info) { return info.param; });

TEST(CompletionInZsh, IsFoundByCompinitUnderTheInstalledName) {
  const TemporaryDirectory directory;
  for (const std::string program : {"postpone", "postpone-supervisor"})
    std::filesystem::copy(script_of(program, "zsh"), directory.file("_" + program));
  const ProgramRun run = run_program({kDrivers + "zsh", "/dev/null"},
                                     {.environment = {{"COMPLETION_DIRECTORY", directory.file("")}},
                                      .input = "postpone jobs l\npostpone-supervisor --one\n"});
  const std::vector<Offer> offers = read_offers(run.output);
  ASSERT_EQ(offers.size(), 2U) << run.output;
  EXPECT_THAT(words(offers[0]), ElementsAre("list"));
  EXPECT_THAT(words(offers[1]), ElementsAre("--one-shot"));
}

TEST(CompletionCommand, PrintsWhatIsInstalled) {
  for (const std::string shell : {"bash", "fish", "zsh"}) {
    std::ifstream file(script_of("postpone", shell));
    const std::string installed{std::istreambuf_iterator<char>(file), {}};
    const ProgramRun run = run_program({POSTPONE_CLI, "completion", shell});
    EXPECT_EQ(run.exit_status, 0);
    EXPECT_FALSE(installed.empty());
    EXPECT_EQ(run.output, installed) << shell;
  }
}

TEST(CompletionCommand, RefusesAShellThatItDoesNotKnow) {
  const ProgramRun run = run_program({POSTPONE_CLI, "completion", "csh"});
  EXPECT_EQ(run.exit_status, 2);
  EXPECT_THAT(run.errors, AllOf(HasSubstr("csh"), HasSubstr("zsh")));
}

}  // namespace
}  // namespace postpone::tests

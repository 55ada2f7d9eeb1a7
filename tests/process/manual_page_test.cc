// The manual pages as groff shows them: without a warning, and with all that --help and the reference
// configuration name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "help.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::string page_file(const std::string& page) {
  return POSTPONE_BUILD_DIR "/packaging/" + page;
}

// The text of a page, in lines wide enough that none is broken.
std::string rendered(const std::string& page) {
  const ProgramRun run = run_program({"groff", "-man", "-Tutf8", "-rLL=1000n", "-P-cbou", page_file(page)});
  EXPECT_EQ(run.exit_status, 0) << run.errors;
  return run.output;
}

bool is_heading(const std::string& line) {
  return line.find_first_not_of(' ') == 0 || line.find_first_not_of(' ') == 3;
}

// The sections and subsections of a page by their headings.
std::map<std::string, std::string> sections(const std::string& page) {
  std::map<std::string, std::string> found;
  std::istringstream lines(rendered(page));
  std::string heading;
  for (std::string line; std::getline(lines, line);) {
    if (is_heading(line)) {
      heading = line.substr(line.find_first_not_of(' '));
    } else {
      found[heading] += line + "\n";
    }
  }
  return found;
}

// The section whose heading begins with the command.
std::string section_of(const std::map<std::string, std::string>& sections, const std::string& command) {
  for (const auto& [heading, text] : sections) {
    if ((heading + " ").starts_with(command + " ")) return text;
  }
  return "";
}

TEST(ManualPage, GroffHasNothingToSay) {
  for (const std::string page :
       {"postpone.1", "postpone-supervisor.8", "postpone-web.8", "postpone.toml.5"}) {
    const ProgramRun run = run_program({"groff", "-man", "-ww", "-Tutf8", "-z", page_file(page)});
    EXPECT_EQ(run.exit_status, 0) << page;
    EXPECT_EQ(run.errors, "") << page;
    EXPECT_THAT(rendered(page), Not(ContainsRegex("@[A-Z]+@"))) << page;
  }
}

TEST(ManualPage, TellsOfEveryCommandAndOptionThatHelpNames) {
  const auto page = sections("postpone.1");
  for (const Help& help : walk_help(POSTPONE_CLI)) {
    if (!help.commands.empty()) continue;
    const std::string text = section_of(page, help.path);
    EXPECT_NE(text, "") << help.path;
    for (const std::string& option : help.options) {
      if (option == "--help") continue;  // the page describes it once
      EXPECT_THAT(text, HasSubstr("       " + option)) << help.path;
    }
  }
}

TEST(ManualPage, TellsOfTheOptionsOfTheProgramsThemselves) {
  for (const std::string program : {POSTPONE_CLI, POSTPONE_SUPERVISOR}) {
    const Help help = walk_help(program).front();
    const auto page = sections(help.path + (help.path == "postpone" ? ".1" : ".8"));
    for (const std::string& option : help.options) {
      EXPECT_THAT(page.at("OPTIONS"), HasSubstr(option)) << help.path;
    }
  }
}

TEST(ManualPage, NamesWhatAValueMayBe) {
  const auto page = sections("postpone.1");
  const std::string text = section_of(page, "postpone jobs list");
  EXPECT_THAT(text, HasSubstr("--status STATUS\n"));
  EXPECT_THAT(text, HasSubstr("Any of todo, doing, succeeded, failed, cancelled or aborted."));
  EXPECT_THAT(text, HasSubstr("From 0 to 1000000. Default: 50."));
}

TEST(ManualPage, IsOfThisVersion) {
  const ProgramRun version = run_program({POSTPONE_SUPERVISOR, "--version"});
  for (const std::string page :
       {"postpone.1", "postpone-supervisor.8", "postpone-web.8", "postpone.toml.5"}) {
    EXPECT_THAT(rendered(page), HasSubstr("Postpone " + version.output.substr(0, version.output.find('\n'))));
  }
}

TEST(ConfigurationPage, HoldsEveryLineOfTheReference) {
  std::ifstream reference(POSTPONE_SOURCE_DIR "/config/reference.toml");
  const auto page = sections("postpone.toml.5");
  std::string heading;
  int keys = 0;
  for (std::string line; std::getline(reference, line);) {
    if (line.starts_with('#')) line.erase(0, 1);
    if (line.starts_with('[')) heading = line;
    if (line.empty() || line[0] < 'a' || line[0] > 'z') continue;
    ++keys;
    EXPECT_THAT(section_of(page, heading), HasSubstr("       " + line + "\n")) << heading;
  }
  EXPECT_GT(keys, 40);
}

TEST(ConfigurationPage, KeepsQuotesAndDotsAsTheyAre) {
  const auto page = sections("postpone.toml.5");
  EXPECT_THAT(page.at("[supervisor]"), HasSubstr("digits, '-', '_' and '.'."));
  EXPECT_THAT(page.at("[[group]]"), HasSubstr(R"({ LANG = "C.UTF-8", OMP_NUM_THREADS = "1" })"));
  EXPECT_THAT(page.at("[[group]]"), HasSubstr("POSTPONE_DATABASE_URL, …"));
}

}  // namespace
}  // namespace postpone::tests

// What completion and manual pages are made of: a command line as data, and text for roff.
#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <stdexcept>

#include "manual/command_tree.h"
#include "manual/page.h"
#include "manual/roff.h"

namespace postpone::manual {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CommandTree : public testing::Test {
 protected:
  CommandTree() {
    app_.name("cook");
    app_.fallthrough();
  }
  Option only_option() const { return describe(app_).options.back(); }

  CLI::App app_;
  std::string text_;
  bool flag_ = false;
};

TEST_F(CommandTree, FindsCommandsAtEveryDepth) {
  app_.add_subcommand("wash", "")->add_subcommand("plates", "Wash plates");
  const Command cook = describe(app_);
  std::vector<std::string> paths;
  for (const Command* command : flattened(cook)) paths.push_back(command->path);
  EXPECT_THAT(paths, ElementsAre("cook", "cook wash", "cook wash plates"));
  EXPECT_EQ(flattened(cook)[2]->description, "Wash plates");
}

TEST_F(CommandTree, LeavesOutWhatIsHidden) {
  app_.add_flag("--secret", flag_)->group("");
  app_.add_subcommand("hidden", "")->group("");
  const Command cook = describe(app_);
  EXPECT_THAT(cook.commands, IsEmpty());
  EXPECT_THAT(cook.options.back().names, ElementsAre("-h", "--help"));
}

TEST_F(CommandTree, TellsWhatCommandsInheritButHelpAndVersion) {
  app_.set_version_flag("--version", "1");
  app_.add_option("--config", text_);
  app_.add_subcommand("wash", "")->add_subcommand("plates", "");
  const Command plates = describe(app_).commands.front().commands.front();
  ASSERT_EQ(plates.inherited.size(), 1U);
  EXPECT_THAT(plates.inherited.front().names, ElementsAre("--config"));
}

TEST_F(CommandTree, KnowsTheWordsAndTheRangeOfAValue) {
  app_.add_option("--dish", text_)->type_name("DISH")->check(CLI::IsMember({"plate", "cup"}));
  EXPECT_EQ(only_option().value->name, "DISH");
  EXPECT_THAT(only_option().value->choices, ElementsAre("plate", "cup"));
  app_.add_option("--times", text_)->type_name("NUMBER")->check(CLI::Range(1, 9));
  EXPECT_EQ(only_option().value->range, "1 to 9");
}

TEST_F(CommandTree, TellsFlagsFromOptionsThatMayStandAlone) {
  app_.add_flag("--dry", flag_);
  EXPECT_FALSE(only_option().value);
  app_.add_option("--watch", text_)->type_name("[SECONDS]")->expected(0, 1);
  EXPECT_TRUE(only_option().value->is_optional);
  EXPECT_EQ(only_option().value->name, "SECONDS");
}

TEST_F(CommandTree, RefusesAnOptionThatTakesAValueInOneCommandOnly) {
  app_.add_subcommand("wash", "")->add_flag("--dry", flag_);
  app_.add_subcommand("dry", "")->add_option("--dry", text_);
  EXPECT_THROW(describe(app_), std::logic_error);
}

TEST(Roff, LeavesNothingToTheMacros) {
  EXPECT_EQ(literal(".SH"), "\\&.SH");
  EXPECT_EQ(literal("'tis"), "\\(aqtis");
  EXPECT_EQ(literal(R"(C:\n "x")"), R"(C:\(rsn \(dqx\(dq)");
  EXPECT_EQ(literal("--queueing-lock"), R"(\-\-queueing\-lock)");
}

TEST(Roff, WritesAsciiOnly) {
  EXPECT_EQ(literal("ID…"), R"(ID\[u2026])");
  EXPECT_EQ(literal("ß"), R"(\[u00DF])");
  EXPECT_EQ(literal("🍽"), R"(\[u1F37D])");
}

TEST(Roff, ShowsInBoldWhatStandsBetweenBackticks) {
  EXPECT_EQ(prose("see `stalled list`."), R"(see \fBstalled list\fR.)");
  EXPECT_EQ(prose("`url`"), R"(\fBurl\fR)");
}

TEST(ConfigurationPage, RefusesAReferenceOfAnotherForm) {
  EXPECT_THROW(configuration_page("@KEYS@\n", "[supervisor]\nname: \"x\"\n"), std::runtime_error);
}

}  // namespace
}  // namespace postpone::manual

#include "config/keep.h"

#include <gtest/gtest.h>

#include "config/config.h"

namespace postpone::config {
namespace {

const std::string kGroup = "[[group]]\nname = \"g\"\nexecutable = \"/bin/true\"\n";

Config read(const std::string& text) {
  return parse(text, "/", Files::trust).config.value();
}

TEST(KeepKeys, TheirValuesStayAndAllOthersAreNew) {
  const std::string now = "[database]\nurl = \"dbname=old\"\npool_size = 2\n" + kGroup;
  const std::string next = "[database]\nurl = \"dbname=new\"\npool_size = 3\n" + kGroup + "count = 7\n";
  const Config kept = read(keep_keys(next, now, {{"database", "url"}}));
  EXPECT_EQ(kept.database.url, "dbname=old");
  EXPECT_EQ(kept.database.pool_size, 3);
  EXPECT_EQ(kept.groups.at(0).count, 7);
}

TEST(KeepKeys, OneThatStandsInNeitherGoes) {
  const std::string next = "[supervisor]\nname = \"new\"\nshutdown_grace = \"5s\"\n" + kGroup;
  const Config kept = read(keep_keys(next, kGroup, {{"supervisor", "name"}}));
  EXPECT_EQ(kept.supervisor.name, "");
  EXPECT_EQ(kept.supervisor.shutdown_grace, std::chrono::seconds(5));
}

TEST(KeepKeys, ASectionThatTheNewTextLacksIsMade) {
  const std::string now = "[database]\nurl = \"dbname=old\"\n" + kGroup;
  EXPECT_EQ(read(keep_keys(kGroup, now, {{"database", "url"}})).database.url, "dbname=old");
}

TEST(KeepKeys, NothingIsLostOfWhatIsHardToWrite) {
  const std::string next =
      "[database]\nurl = \"dbname=new\"\n[log]\nlevel = 'debug'\n" + kGroup +
      "arguments = ['a \"quoted\" one', \"back\\\\slash\", \"zwölf\\n\"]\n"
      "environment = { OVEN = \"hot # not a comment\", \"A.B\" = '' }\nmax_rss = \"2GiB\"\n";
  Config expected = read(next);
  expected.database.url = "";
  EXPECT_EQ(read(keep_keys(next, kGroup, {{"database", "url"}})), expected);
}

}  // namespace
}  // namespace postpone::config

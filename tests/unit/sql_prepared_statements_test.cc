#include "sql/prepared_statements.h"

#include <gtest/gtest.h>

namespace postpone::sql {
namespace {

TEST(PreparedStatements, AreNotAllowedBeforeTheServerIsKnown) {
  PreparedStatements prepared;
  EXPECT_FALSE(prepared.are_allowed());
  EXPECT_FALSE(prepared.gives_up_after("26000"));
  prepared.allow();
  EXPECT_TRUE(prepared.are_allowed());
}

TEST(PreparedStatements, AreNewAtTheirFirstUseOnly) {
  PreparedStatements prepared;
  prepared.allow();
  const auto first = prepared.name_of("select 1");
  const auto other = prepared.name_of("select 2");
  EXPECT_TRUE(first.is_new);
  EXPECT_TRUE(other.is_new);
  EXPECT_NE(first.text, other.text);
  EXPECT_FALSE(prepared.name_of("select 1").is_new);
  EXPECT_EQ(prepared.name_of("select 1").text, first.text);
}

TEST(PreparedStatements, AreNewAgainWhenAnErrorKeptTheServerFromPreparingThem) {
  PreparedStatements prepared;
  prepared.allow();
  const auto first = prepared.name_of("select 1");
  prepared.left_out(first);
  const auto again = prepared.name_of("select 1");
  EXPECT_TRUE(again.is_new);
  EXPECT_EQ(again.text, first.text);
}

TEST(PreparedStatements, AreGivenUpForGoodAfterAnErrorOfPreparing) {
  for (const char* state : {"26000", "42P05", "0A000"}) {
    PreparedStatements prepared;
    prepared.allow();
    EXPECT_TRUE(prepared.gives_up_after(state)) << state;
    EXPECT_FALSE(prepared.gives_up_after(state)) << state << ": a second time it is an error like others";
    prepared.allow();
    EXPECT_FALSE(prepared.are_allowed()) << state;
  }
}

TEST(PreparedStatements, AreKeptAfterOtherErrors) {
  PreparedStatements prepared;
  prepared.allow();
  EXPECT_FALSE(prepared.gives_up_after("23505"));
  EXPECT_FALSE(prepared.gives_up_after(""));
  EXPECT_TRUE(prepared.are_allowed());
}

}  // namespace
}  // namespace postpone::sql

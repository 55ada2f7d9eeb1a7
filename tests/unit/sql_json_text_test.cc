#include "sql/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postpone::sql {
namespace {

using testing::HasSubstr;

TEST(AMistakeInJson, IsAByteOrderMarkToo) {
  EXPECT_EQ(mistake_in_json("1"), std::nullopt);
  EXPECT_EQ(mistake_in_json("\xEF\xBB\xBF{}"), 1u);
  EXPECT_EQ(mistake_in_json("\"\xEF\xBB\xBF\""), std::nullopt) << "in a string it is a character";
}

std::string nested(int depth) {
  const auto n = static_cast<std::size_t>(depth);
  return std::string(n, '[') + std::string(n, ']');
}

TEST(AnExcessInJson, IsToBeNestedTooDeep) {
  EXPECT_EQ(excess_in_json(nested(kMaxJsonDepth)), "");
  EXPECT_EQ(excess_in_json(nested(kMaxJsonDepth + 1)), "it is nested more than 500 deep");
  EXPECT_EQ(excess_in_json("\"\\\"" + nested(1000) + "\""), "") << "in a string";
  EXPECT_EQ(excess_in_json("[" + nested(400) + "," + nested(400) + "]"), "") << "one beside the other";
}

// That PostgreSQL draws the line there is for tests/integration/visit_test.cc.
TEST(AnExcessInJson, IsANumberBeyondANumeric) {
  EXPECT_EQ(excess_in_json(R"({"a": -1.5e+300, "b": [0, 1e131071], "1e200000": "1e200000"})"), "");
  EXPECT_EQ(excess_in_json(R"({"a": 1, "b": 1e200000})"),
            "the number at byte 15 is beyond what PostgreSQL stores");
  EXPECT_THAT(excess_in_json("[" + std::string(131'073, '9') + "]"), HasSubstr("byte 2"));
  EXPECT_THAT(excess_in_json("[1,-0." + std::string(16'384, '0') + "]"), HasSubstr("byte 4"));
}

}  // namespace
}  // namespace postpone::sql

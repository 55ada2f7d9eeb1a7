// What the client puts on the wire, and which jobs it refuses to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libtask/src/client/requests.h"
#include "libtask/src/client/wire.h"

namespace libtask::detail {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

TEST(TheClientsWire, CountsMicrosecondsSinceTheYear2000) {
  const system_clock::time_point epoch{946'684'800s};
  EXPECT_EQ(to_bytes(epoch), bytes({0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(to_bytes(epoch + 258us), bytes({0, 0, 0, 0, 0, 0, 1, 2}));
  EXPECT_EQ(to_bytes(epoch - 1us), std::string(8, '\xff'));
  EXPECT_EQ(to_bytes(system_clock::time_point::max()), "\x7f" + std::string(7, '\xff'));
}

TEST(TheClientsWire, HasNullsInArrays) {
  EXPECT_EQ(array_of(Type::text, {Bytes("ab"), std::nullopt}),
            bytes({0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1}) + bytes({0, 0, 0, 2}) +
                "ab" + std::string(4, '\xff'));
  EXPECT_EQ(jsonb_bytes("{}"), "\x01{}");
  EXPECT_EQ(text_or_null(""), std::nullopt);
}

TEST(TheClientsWire, HasRowsForCopy) {
  std::string rows;
  append_copy_row(rows, {to_bytes(std::int32_t{-1}), std::nullopt});
  EXPECT_EQ(rows, bytes({0, 2, 0, 0, 0, 4}) + std::string(8, '\xff'));
  EXPECT_EQ(copy_header().size(), 19U);
  EXPECT_EQ(copy_trailer(), "\xff\xff");
}

TEST(TheClient, RefusesAJobThatNoDatabaseWouldTake) {
  const auto fault_of = [](const NewJob& job) {
    try {
      check(job);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(fault_of(NewJob("t")), "none");
  EXPECT_EQ(fault_of(NewJob("")), "job of task \"\": the task's name is empty");
  EXPECT_THAT(fault_of(NewJob(std::string(129, 't'))),
              EndsWith("the task's name has more than 128 characters"));
  std::string umlauts;
  for (int i = 0; i < 128; ++i) umlauts += "ü";
  EXPECT_EQ(fault_of(NewJob(umlauts)), "none");
  EXPECT_EQ(fault_of(NewJob("t").queue("")), "job of task \"t\": the queue's name is empty");
  EXPECT_EQ(fault_of(NewJob("t").lock(std::string(2001, 'l'))),
            "job of task \"t\": the lock has more than 2000 bytes");
  EXPECT_THAT(fault_of(NewJob("t").queueing_lock(std::string("a\0b", 3))), HasSubstr("the queueing lock: "));
  EXPECT_THAT(fault_of(NewJob("t").lock("\xff")), HasSubstr("UTF-8"));
  EXPECT_THAT(fault_of(NewJob("t").schedule_in(1s).schedule_at(system_clock::now())),
              HasSubstr("both schedule_at and schedule_in"));
}

TEST(TheClient, CountsADelayFromTheDatabasesClock) {
  const auto columns = columns_of(NewJob("t").schedule_in(2us), 946'684'800'000'000);
  EXPECT_EQ(columns[6], bytes({0, 0, 0, 0, 0, 0, 0, 2}));
  EXPECT_EQ(columns_of(NewJob("t"), 0)[6], std::nullopt);
}

}  // namespace
}  // namespace libtask::detail

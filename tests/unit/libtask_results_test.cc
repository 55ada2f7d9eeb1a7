// What a handler gives back and tells on the way, and what came with its job beside the arguments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "libtask_fixture.h"

namespace libtask::detail {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::ResultStatus;

TEST(Results, ComeWithSuccessAndTheLastOneCounts) {
  bool fail = false;
  OneTask task([&](Context& job) {
    job.result("early");
    job.result({{"pages", 3}, {"files", std::vector<std::string>{"a", "b"}}});
    if (fail) throw std::runtime_error("after all");
  });
  task.run();
  ASSERT_THAT(task.giver.values, SizeIs(1));
  EXPECT_EQ(task.giver.values[0].job_id, 17);
  EXPECT_EQ(task.giver.values[0].json, R"({"pages":3,"files":["a","b"]})");
  task.giver.values.clear();
  fail = true;
  EXPECT_EQ(task.run().status, ResultStatus::exception);
  EXPECT_THAT(task.giver.values, IsEmpty());
}

TEST(Results, MayBeAnyJson) {
  for (const Value& value : {Value(3), Value("text"), Value(true), Value(nullptr), Value(1.5),
                             Value(nlohmann::json::parse(R"([1, {"a": null}])"))}) {
    OneTask task([&](Context& job) { job.result(value); });
    task.run();
    ASSERT_THAT(task.giver.values, SizeIs(1)) << value.text();
    EXPECT_EQ(task.giver.values[0].json, value.text());
  }
}

TEST(Results, OfMoreThanAMibFailTheJobAndSaySo) {
  const auto text_of = [](std::size_t bytes) { return std::string(bytes - 2, 'x'); };  // with its quotes
  OneTask fits([&](Context& job) { job.result(text_of(1024UL * 1024)); });
  EXPECT_EQ(fits.run().status, ResultStatus::succeeded);
  OneTask too_long([&](Context& job) { job.result(text_of(1024UL * 1024 + 1)); });
  const wire::Result result = too_long.run();
  EXPECT_EQ(result.exception_type, "std::length_error");
  EXPECT_EQ(result.message,
            "the result of job 17 has 1048577 bytes, more than the 1 MiB that a result may have: store it "
            "elsewhere, and "
            "give back where");
  EXPECT_THAT(too_long.giver.values, IsEmpty());
}

struct Sloppy {};

}  // namespace
}  // namespace libtask::detail

template <>
struct libtask::ToJson<libtask::detail::Sloppy> {
  static std::string text(const detail::Sloppy&) { return R"(1,"action":"fail")"; }
};

namespace libtask::detail {
namespace {

TEST(Results, AreOneJsonValueWhateverAnAuthorsToJsonWrites) {
  OneTask task([](Context& job) { job.result(Sloppy{}); });
  EXPECT_THAT(task.run().message, HasSubstr("the result of job 17 is no JSON"));
}

TEST(ANote, GoesWithTheProgressAndIsCutBetweenCharacters) {
  const std::string note = std::string(255, 'x') + "ä";
  OneTask task([&](Context& job) { job.progress(1, 2, note); });
  task.run();
  ASSERT_THAT(task.giver.told, SizeIs(1));
  EXPECT_EQ(task.giver.told[0].note, std::string(255, 'x'));
}

TEST(Meta, IsAnObjectForTheHandlerAndNoArgument) {
  std::string meta;
  OneTask strict([&](Context& job, const std::string& dish) { meta = job.meta() + dish; }, {"dish"});
  wire::Run run{.job_id = 17, .task = "dishes.wash", .args = R"({"dish": "plate"})"};
  EXPECT_EQ(strict.run(run).status, ResultStatus::succeeded);
  EXPECT_EQ(meta, "{}plate");
  run.meta = R"({"tenant": "ann"})";
  EXPECT_EQ(strict.run(run).status, ResultStatus::succeeded);
  EXPECT_EQ(meta, R"({"tenant": "ann"}plate)");
}

// Whoever has given the job to this process knows its meta, and passes it on.
TEST(Meta, OfAFollowerIsToldOnlyIfItIsItsOwn) {
  OneTask task([](Context& job) {
    job.defer("mail.send");
    job.defer("mail.send", {}, {.meta = Args{{"tenant", "bob"}}});
    job.defer("mail.send", {}, {.meta = Args{}});
  });
  const wire::Result result = task.run();
  ASSERT_THAT(result.defers, SizeIs(3));
  EXPECT_EQ(result.defers[0].meta, "");
  EXPECT_EQ(result.defers[1].meta, R"({"tenant":"bob"})");
  EXPECT_EQ(result.defers[2].meta, "{}");
}

TEST(Meta, OfAFollowerIsSmall) {
  OneTask task([](Context& job) {
    job.defer("mail.send", {}, {.meta = Args{{"tenant", std::string(8UL * 1024, 'x')}}});
  });
  const wire::Result result = task.run();
  EXPECT_EQ(result.exception_type, "std::length_error");
  EXPECT_THAT(result.message, HasSubstr("longer than 8 KiB"));
}

}  // namespace
}  // namespace libtask::detail

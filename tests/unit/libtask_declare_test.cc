// Tasks that are declared once: the jobs that are made of them, and their handlers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/json.h>

#include <array>
#include <cstdint>
#include <optional>

#include "libtask_fixture.h"

namespace libtask {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr auto wash = declare<std::string, int>("dishes.wash", "dish", "times");
constexpr auto dry = declare<std::string, std::optional<std::uint8_t>>("dishes.dry", "dish", "seconds")
                         .queue("kitchen")
                         .priority(5)
                         .lock("towel")
                         .queueing_lock("drying");
constexpr auto sweep = declare<>("floor.sweep");

using Wash = decltype(wash);
static_assert(std::is_invocable_v<Wash, const char*, int>);
static_assert(std::is_invocable_v<Wash, std::string, std::int64_t>);
static_assert(!std::is_invocable_v<Wash, const char*>, "an argument is missing");
static_assert(!std::is_invocable_v<Wash, const char*, int, int>, "there is one too many");
static_assert(!std::is_invocable_v<Wash, int, const char*>, "they are the wrong way round");
static_assert(!std::is_invocable_v<Wash, const char*, double>, "a fraction would be lost");
static_assert(!std::is_invocable_v<Wash, const char*, bool>, "a bool is no number");
static_assert(std::is_invocable_v<decltype(sweep)>);

// What would be cut without a word.
enum Sink { left, right };
struct Size {
  operator std::int64_t() const { return std::int64_t{1} << 40; }
};
static_assert(!std::is_invocable_v<Wash, const char*, Sink>);
static_assert(!std::is_invocable_v<Wash, const char*, Size>);
static_assert(!std::is_invocable_v<Wash, const char*, nlohmann::json>);
static_assert(!std::is_invocable_v<Wash, const char*, char>);
using Dry = decltype(dry);
static_assert(std::is_invocable_v<Dry, const char*, int>);
static_assert(std::is_invocable_v<Dry, const char*, std::optional<int>>);
static_assert(!std::is_invocable_v<Dry, const char*, double>);
static_assert(!std::is_invocable_v<Dry, const char*, std::optional<double>>);
static_assert(!std::is_invocable_v<Dry, const char*, Size>);

TEST(ADeclaration, MakesJobsWithItsNamesAndOptions) {
  const NewJob job = dry("cup", 7);
  EXPECT_EQ(job.task(), "dishes.dry");
  EXPECT_EQ(job.args().text(), R"({"dish":"cup","seconds":7})");
  EXPECT_EQ(job.options().queue, "kitchen");
  EXPECT_EQ(job.options().priority, 5);
  EXPECT_EQ(job.options().lock, "towel");
  EXPECT_EQ(job.options().queueing_lock, "drying");
  EXPECT_EQ(dry("cup", std::nullopt).args().text(), R"({"dish":"cup","seconds":null})");
  EXPECT_EQ(sweep().args().text(), "{}");
  EXPECT_EQ(wash("a", 1).options().queue, "default");
}

TEST(ADeclaration, RefusesAnIntegerThatItsTypeDoesNotHold) {
  EXPECT_THAT(
      [] { wash("plate", std::int64_t{1} << 40); },
      ThrowsMessage<std::out_of_range>("argument \"times\" of dishes.wash is beyond what its type holds"));
  EXPECT_THROW(dry("cup", 300), std::out_of_range);
  EXPECT_THROW(dry("cup", std::optional(-1)), std::out_of_range);
  EXPECT_EQ(dry("cup", std::optional(255)).args().text(), R"({"dish":"cup","seconds":255})");
  EXPECT_EQ(dry("cup", std::optional<int>()).args().text(), R"({"dish":"cup","seconds":null})");
  EXPECT_THAT([] { wash("\xff", 1); }, ThrowsMessage<std::invalid_argument>(HasSubstr("UTF-8")));
}

TEST(ANewJob, MayBeChangedBeforeItIsDeferred) {
  const NewJob job = wash("plate", 2)
                         .queue("kitchen")
                         .priority(-1)
                         .lock("sink")
                         .queueing_lock("plates")
                         .schedule_in(5min)
                         .on_conflict(OnConflict::replace)
                         .meta({{"tenant", "ann"}});
  EXPECT_EQ(job.options().queue, "kitchen");
  EXPECT_EQ(job.options().priority, -1);
  EXPECT_EQ(job.options().lock, "sink");
  EXPECT_EQ(job.options().queueing_lock, "plates");
  EXPECT_EQ(job.options().schedule_in, 5min);
  EXPECT_EQ(job.options().on_conflict, OnConflict::replace);
  EXPECT_EQ(job.options().meta->text(), R"({"tenant":"ann"})");
}

// What such a program prints, and its exit status.
struct Ran {
  Ran(App& app, std::vector<std::string> arguments) {
    std::vector<char*> argv{const_cast<char*>("tasks")};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    status = app.run(static_cast<int>(argv.size()) - 1, argv.data());
    output = testing::internal::GetCapturedStdout();
    errors = testing::internal::GetCapturedStderr();
  }
  int status = 0;
  std::string output, errors;
};

TEST(ADeclaredTask, GivesItsHandlerWhatIsDeclared) {
  std::string taken;
  App app;
  app.task(wash, [&](const std::string& dish, std::int64_t times) { taken = dish + std::to_string(times); });
  app.task(dry, [&](Context& job, const auto& dish, auto seconds) {
    taken = job.task() + dish + std::to_string(seconds.value_or(0));
  });
  app.task(sweep, [&] { taken = "swept"; });
  EXPECT_EQ(Ran(app, {"run", "dishes.wash", wash("plate", 2).args().text()}).status, 0);
  EXPECT_EQ(taken, "plate2");
  EXPECT_EQ(Ran(app, {"run", "dishes.dry", dry("cup", 7).args().text()}).status, 0);
  EXPECT_EQ(taken, "dishes.drycup7");
  EXPECT_EQ(Ran(app, {"run", "floor.sweep"}).status, 0);
  EXPECT_EQ(taken, "swept");
}

TEST(ADeclaredTask, ReadsItsArgumentsAsStrictlyAsAnyOther) {
  App app;
  app.task(wash, [](const std::string&, long) {});
  const Ran ran(app, {"run", "dishes.wash", R"({"dish": "plate", "times": 3000000000})"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.output + ran.errors, HasSubstr("argument \"times\" of dishes.wash: expected integer from"));
  EXPECT_EQ(Ran(app, {"run", "dishes.wash", R"({"dish": "plate"})"}).status, 2);
}

TEST(ADeclaredTask, IsDeferredByAHandler) {
  detail::OneTask task([](Context& job) {
    job.defer(dry("cup", 7).priority(1).schedule_in(5min).meta({{"tenant", "ann"}}));
    job.defer(wash("plate", 2).on_conflict(OnConflict::keep));
    EXPECT_THAT([&] { job.defer(wash("plate", 2).schedule_at({})); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("has no schedule_at()")));
    EXPECT_THAT([&] { job.defer(wash("plate", 2).on_conflict(OnConflict::replace)); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("replaces no other")));
  });
  const auto jobs = task.run().defers;
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].task, "dishes.dry");
  EXPECT_EQ(jobs[0].args, R"({"dish":"cup","seconds":7})");
  EXPECT_EQ(jobs[0].queue, "kitchen");
  EXPECT_EQ(jobs[0].priority, 1);
  EXPECT_EQ(jobs[0].lock, "towel");
  EXPECT_EQ(jobs[0].queueing_lock, "drying");
  EXPECT_EQ(std::chrono::microseconds(jobs[0].delay_us), 5min);
  EXPECT_EQ(jobs[0].meta, R"({"tenant":"ann"})");
  EXPECT_EQ(jobs[1].lock, std::nullopt);
  EXPECT_EQ(jobs[1].meta, "");
}

TEST(ADeclaredTask, IsDescribedWithItsNamesAndOptions) {
  App app;
  app.task(dry, [](const std::string&, std::optional<std::uint8_t>) {}).priority(6);
  const Ran described(app, {"--describe"});
  for (const std::string part :
       {"\"dishes.dry\"", "\"kitchen\"", "\"towel\"", "\"drying\"", "\"priority\":6"})
    EXPECT_THAT(described.output, HasSubstr(part));
}

}  // namespace
}  // namespace libtask

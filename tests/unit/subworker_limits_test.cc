// libtask and the database know nothing of each other, and what a handler may give is bounded by both. So the bounds are
// compared here: what libtask takes the database stores, and what libtask refuses it would refuse.
#include <gtest/gtest.h>
#include <libtask/testing.h>

#include <string>

#include "sql/job.h"

namespace postpone::sql {
namespace {

using libtask::testing::Status;

Status status_of(const std::function<void(libtask::Context&)>& handler) {
  libtask::App app;
  app.task("t", handler);
  return libtask::testing::run(app, "t").status;
}

TEST(TheBoundsOfLibtask, AreThoseOfTheDatabase) {
  const auto result_of = [](std::size_t bytes) {
    return [bytes](libtask::Context& job) { job.result(std::string(bytes - 2, 'x')); };  // with its quotes
  };
  EXPECT_EQ(status_of(result_of(kMaxResultBytes)), Status::succeeded);
  EXPECT_EQ(status_of(result_of(kMaxResultBytes + 1)), Status::failed);

  const auto meta_of = [](std::size_t bytes) {
    return [bytes](libtask::Context& job) {
      const auto meta = libtask::Args::from_text(R"({"a":")" + std::string(bytes - 8, 'x') + R"("})");
      job.defer("t", {}, {.meta = meta});
    };
  };
  EXPECT_EQ(status_of(meta_of(kMaxMetaBytes)), Status::succeeded);
  EXPECT_EQ(status_of(meta_of(kMaxMetaBytes + 1)), Status::failed);

  libtask::App app;
  app.task("t", [](libtask::Context& job) { job.progress(1, 2, std::string(10'000, 'x')); });
  EXPECT_EQ(libtask::testing::run(app, "t").progress.value().note.size(), kMaxNoteBytes);
}

}  // namespace
}  // namespace postpone::sql

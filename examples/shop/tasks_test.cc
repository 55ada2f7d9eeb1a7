// The tasks without a database, and without a server that takes webhooks.
#include <gtest/gtest.h>
#include <libtask/testing.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "shop.h"

using namespace std::chrono_literals;
using libtask::testing::run;
using libtask::testing::Status;

class Shop : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/shop.XXXXXX";
    std::filesystem::current_path(mkdtemp(directory));
    shop::add_tasks(app, [this](const auto&, const auto&) { return answer; });
  }
  void TearDown() override { std::filesystem::remove_all(std::filesystem::current_path()); }
  static void write(const char* file, const std::string& text) { std::ofstream(file) << text; }

  libtask::App app;
  shop::Answer answer{.status = 200};
};

TEST_F(Shop, SendsAMailForEachInvoiceAndCountsThemAtNight) {
  libtask::testing::Harness harness(app);
  harness.defer(shop::make_invoice("ann", 350));
  harness.defer(shop::make_invoice("bob", 50));
  EXPECT_EQ(harness.work(), 4) << "two invoices, two mails";
  EXPECT_EQ(run(app, shop::report()).result, R"({"invoices":2,"cents":400})");
  EXPECT_EQ(run(app, shop::make_invoice("ann", 0)).cause, libtask::testing::Cause::bad_arguments);
}

TEST_F(Shop, MakesThumbnails) {
  write("cat", "P6 2 2 255\nabcdefghijkl");
  EXPECT_EQ(run(app, shop::make_thumbnail("cat", 1)).status, Status::succeeded);
  EXPECT_EQ(std::filesystem::file_size("cat.1"), std::string("P6\n1 1\n255\nabc").size());
  EXPECT_EQ(run(app, shop::make_thumbnail("dog", 1)).status, Status::failed);
}

TEST_F(Shop, WaitsAsLongAsAServerWantsAndBacksOffFromOneThatIsDown) {
  answer = {.status = 429, .retry_after = 90s};
  const auto busy = run(app, shop::call_webhook("http://a:1/", "{}"), {.attempt = 9});
  EXPECT_EQ(busy.retry->in, 90s) << "the wait counts as no attempt, so there may be any number";
  answer = {.status = 503};
  EXPECT_EQ(run(app, shop::call_webhook("http://a:1/", "{}"), {.attempt = 3}).retry->in, 8s);
  EXPECT_EQ(run(app, shop::call_webhook("http://a:1/", "{}"), {.attempt = 9}).status, Status::failed);
}

TEST_F(Shop, TranscodesUntilItIsAskedToStop) {
  write("song", std::string(2 * 20'000, '\0'));
  const auto stopped = run(app, shop::transcode("song"), {.abort_at_look = 2});
  EXPECT_EQ(stopped.status, Status::aborted);
  EXPECT_EQ(stopped.progress->done, 8'000U);
  EXPECT_FALSE(std::filesystem::exists("song.8bit"));
  EXPECT_EQ(run(app, shop::transcode("song")).progress->done, 20'000U);
  EXPECT_EQ(std::filesystem::file_size("song.8bit"), 20'000U);
}

// The tasks without a database, and without a server that takes webhooks.
#include <gtest/gtest.h>
#include <libtask/testing.h>
#include <filesystem>
#include <fstream>

#include "shop.h"

using namespace std::chrono_literals;
using libtask::testing::run, libtask::testing::Status;

struct Shop : testing::Test {
  Shop() {
    shop::add_tasks(app, [this](auto&&...) { return answer; });
  }
  libtask::App app;
  shop::Answer answer{.status = 200};
};

TEST_F(Shop, SendsAMailForEachInvoiceAndCountsThemAtNight) {
  std::filesystem::remove_all("invoices");
  libtask::testing::Harness harness(app);
  harness.defer(shop::make_invoice("ann", 350));
  harness.defer(shop::make_invoice("bob", 50));
  EXPECT_EQ(harness.work(), 4) << "two invoices, two mails";
  EXPECT_EQ(run(app, shop::report()).result, R"({"invoices":2,"cents":400})");
}

TEST_F(Shop, MakesThumbnails) {
  std::ofstream("cat") << "P6 2 2 255\nabcdefghijkl";
  EXPECT_EQ(run(app, shop::thumbnail("cat", 1)).result, R"({"width":1,"height":1})");
  EXPECT_EQ(run(app, shop::thumbnail("dog", 1)).status, Status::failed);
}

TEST_F(Shop, WaitsAsLongAsAServerWantsAndBacksOffFromOneThatIsDown) {
  const auto call = shop::call_webhook("http://hooks/", "{}");
  answer = {.status = 429, .retry_after = 90s};
  EXPECT_EQ(run(app, call, {.attempt = 9}).retry->in, 90s) << "no attempt, so there may be any number";
  answer = {.status = 503};
  EXPECT_EQ(run(app, call, {.attempt = 3}).retry->in, 8s);
  EXPECT_EQ(run(app, call, {.attempt = 9}).status, Status::failed);
}

TEST_F(Shop, TranscodesUntilItIsAskedToStop) {
  std::ofstream("song") << std::string(40'000, 'x');
  const auto stopped = run(app, shop::transcode("song"), {.abort_at_look = 2});
  EXPECT_EQ(stopped.status, Status::aborted);
  EXPECT_EQ(stopped.progress->done, 16'000U) << "a second";
  EXPECT_EQ(run(app, shop::transcode("song")).status, Status::succeeded);
  EXPECT_EQ(std::filesystem::file_size("song.8bit"), 20'000U);
}

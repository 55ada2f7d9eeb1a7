// What `postpone status` and `postpone top` make of a supervisor's answer.
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "cli/status/status_page.h"
#include "cli/status/top_page.h"
#include "cli/text/text.h"
#include "tests/support/sample_status.h"

namespace postpone::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tests::answer;
using tests::worker;

constexpr ScreenSize kUsual{80, 24};

std::vector<std::string> lines_of(const std::string& page) {
  std::vector<std::string> lines;
  std::istringstream stream(page);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void expect_fits(const std::string& page, ScreenSize size) {
  const auto lines = lines_of(page);
  EXPECT_LE(lines.size(), size.height) << page;
  for (const std::string& line : lines) EXPECT_LE(display_width(line), size.width) << line;
}

// The first words of the lines below the titles.
std::vector<std::string> slots_of(const std::string& page) {
  std::vector<std::string> slots;
  for (const std::string& line : lines_of(page))
    if (line.starts_with("kitchen/")) slots.push_back(line.substr(0, line.find(' ')));
  return slots;
}

TEST(StatusPage, FitsTheUsualTerminalHoweverMuchThereIsToTell) {
  const std::string page = status_page(answer(64), kUsual);
  expect_fits(page, {80, 23});  // and the prompt
  EXPECT_GE(slots_of(page).size(), 3U);
  EXPECT_THAT(page, HasSubstr(" more; postpone top shows them all\n"));
  EXPECT_THAT(page, HasSubstr("state        running, ready\n"));
  EXPECT_THAT(page, HasSubstr("1,234,567"));
}

TEST(StatusPage, LeavesNoRowFreeThatAListCouldUse) {
  json few = answer(1);
  few["sub_workers"][0]["state"] = "idle";
  few["sub_workers"][0]["job"] = nullptr;
  few["recent_failures"] = json::array();
  json& queues = few["waiting"]["queues"];
  const json queue = queues.at(0);
  queues = json::array();
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) {
    queues.push_back(queue);
    queues.back()["name"] = name;
  }
  const std::string page = status_page(few, kUsual);
  expect_fits(page, {80, 23});
  EXPECT_THAT(page, HasSubstr("\ng "));
  EXPECT_THAT(page, Not(HasSubstr(" more")));
}

TEST(TopPage, OfOneRowSaysNothingOfZeroMore) {
  EXPECT_THAT(top_page(answer(1), json(), {}, {80, 1}), Not(HasSubstr("and 0 more")));
  EXPECT_THAT(top_page(answer(3), json(), {}, {80, 1}), HasSubstr("... and 2 more"));
}

TEST(StatusPage, PipedItIsWhole) {
  const std::string page = status_page(answer(64), {});
  EXPECT_EQ(slots_of(page).size(), 64U);
  EXPECT_THAT(page, Not(HasSubstr(" more")));
}

TEST(StatusPage, SaysWhatIsWrong) {
  json all = answer(1);
  all["supervisor"]["state"] = "degraded";
  all["supervisor"]["ready"] = false;
  all["supervisor"]["reasons"] = {"the database cannot be reached: \x1b[31mno"};
  all["sub_workers"][0] = worker(0, "absent");
  all["sub_workers"][0]["last_end"] = {{"cause", "signal 9 (Killed)"}};
  all["sub_workers"][0]["next_start_s"] = 1.5;
  all["housekeeper"]["pid"] = nullptr;
  const std::string page = status_page(all, {});
  EXPECT_THAT(page, HasSubstr("state        degraded, NOT READY\n"));
  EXPECT_THAT(page, HasSubstr("reached: \\x1B[31mno")) << "nothing that a terminal would obey";
  EXPECT_THAT(page, HasSubstr("absent: signal 9 (Killed), again in 1.5 s"));
  EXPECT_THAT(page, HasSubstr("housekeeper  NOT RUNNING"));
}

// Beside the names 80 columns have no room for the end of a message, which matters most.
TEST(StatusPage, SaysWhyJobsFailedToTheEndOfTheSentence) {
  constexpr const char* kMessage =
      "    the task process ended without a result: signal 11 (Segmentation fault)\n";
  for (const int workers : {2, 64}) {
    const std::string page = status_page(answer(workers), kUsual);
    expect_fits(page, {80, 23});
    EXPECT_THAT(page, HasSubstr(kMessage));
  }
  EXPECT_THAT(status_page(answer(2), {120, 24}),
              HasSubstr("signalled  the task process ended without a result: "
                        "signal 11 (Segmentation fault)\n"));
}

TEST(StatusPage, IsColouredWhereItWantsSomebodysAttention) {
  json all = answer(1);
  const auto page = [&all] { return status_page(all, {}, true); };
  EXPECT_THAT(page(), HasSubstr("state        \x1b[32mrunning\x1b[0m, ready\n"));
  EXPECT_THAT(page(), HasSubstr("\x1b[31m2 failed\x1b[0m, 0 retried"));
  EXPECT_THAT(page(), HasSubstr("t     \x1b[31mfailed\x1b[0m  signalled"));
  all["supervisor"]["state"] = "degraded";
  all["supervisor"]["ready"] = false;
  all["database"]["state"] = "down";
  EXPECT_THAT(page(), HasSubstr("\x1b[31mdegraded\x1b[0m, \x1b[31mNOT READY\x1b[0m\n"));
  EXPECT_THAT(page(), HasSubstr("database     \x1b[31mdown\x1b[0m, "));
  for (const char* state : {"starting", "paused", "draining"}) {
    all["supervisor"]["state"] = state;
    EXPECT_THAT(page(), HasSubstr("\x1b[33m" + std::string(state) + "\x1b[0m"));
  }
  expect_fits(status_page(answer(64), kUsual, true), {80, 23});
  EXPECT_THAT(status_page(all, {}), Not(HasSubstr("\x1b")));
}

TEST(TopPage, IsColouredLikewise) {
  json all = answer(2);
  all["sub_workers"].push_back(worker(2, "idle"));
  all["sub_workers"][2]["jobs"]["failed"] = 0;
  const std::string page = top_page(all, json(), {TopSort::slot, true, "NOT NOW: no", true}, kUsual);
  expect_fits(page, kUsual);
  EXPECT_THAT(page, StartsWith("\x1b[31mNOT NOW: no\x1b[0m\npostpone web1: \x1b[32mrunning\x1b[0m, up "));
  EXPECT_THAT(page, HasSubstr("kitchen/1  \x1b[32mrunning\x1b[0m "));
  EXPECT_THAT(page, HasSubstr("kitchen/2  \x1b[2midle\x1b[0m "));
  EXPECT_THAT(page, HasSubstr("   \x1b[31m2\x1b[0m\n"));
  EXPECT_THAT(page, HasSubstr("  0\n"));
  EXPECT_THAT(top_page(all, json(), {TopSort::slot, true, "NOT NOW: no"}, kUsual), Not(HasSubstr("\x1b")));
}

TEST(TopPage, FitsAroundWideNames) {
  json all = answer(64);
  for (json& one : all["sub_workers"])
    one["job"]["task"] = "\u76BF\u3092\u6D17\u3046\u76BF\u3092\u6D17\u3046\u76BF";
  for (json& queue : all["waiting"]["queues"]) queue["name"] = "\U0001F600\U0001F600\U0001F600";
  all["supervisor"]["reasons"] = {std::string(300, 'x'),
                                  "\u76BF\u76BF\u76BF\u76BF\u76BF\u76BF\u76BF\u76BF\u76BF\u76BF"};
  expect_fits(top_page(all, json(), {TopSort::elapsed, true, ""}, kUsual), kUsual);
  expect_fits(status_page(all, kUsual), {80, 23});
}

TEST(TopPage, FitsAnyTerminal) {
  for (const ScreenSize size : {kUsual, ScreenSize{200, 50}, ScreenSize{100, 12}, ScreenSize{80, 80}})
    expect_fits(top_page(answer(64), json(), {TopSort::elapsed, true, ""}, size), size);
  expect_fits(top_page(answer(64), json(), {TopSort::elapsed, true, "NOT NOW: no answer"}, kUsual), kUsual);
}

TEST(TopPage, SortsAsAsked) {
  const auto sorted = [](TopSort sort) {
    return slots_of(top_page(answer(3), json(), {sort, false, ""}, {}));
  };
  EXPECT_THAT(sorted(TopSort::elapsed), ElementsAre("kitchen/2", "kitchen/1", "kitchen/0"));
  EXPECT_THAT(sorted(TopSort::memory), ElementsAre("kitchen/0", "kitchen/1", "kitchen/2"));
  EXPECT_THAT(sorted(TopSort::jobs), ElementsAre("kitchen/2", "kitchen/1", "kitchen/0"));
  EXPECT_THAT(sorted(TopSort::slot), ElementsAre("kitchen/0", "kitchen/1", "kitchen/2"));
}

TEST(TopPage, CountsByTheSecond) {
  json now = answer(2);
  const json before = answer(2);
  now["supervisor"]["uptime_s"] = 7202.0;
  now["sub_workers"][1]["jobs"]["succeeded"] = 11;
  now["sub_workers"][1]["task_process"]["cpu_s"] = 2.5;
  now["sub_workers"][0]["task_process"]["pid"] = 77;  // another process: its CPU time began anew
  const std::string page = top_page(now, before, {TopSort::cpu, false, ""}, {});
  EXPECT_THAT(page, HasSubstr(", 5.0 jobs/s\n"));
  EXPECT_THAT(page, HasSubstr(" 75% "));
  EXPECT_EQ(slots_of(page).front(), "kitchen/1");
}

}  // namespace
}  // namespace postpone::cli

// What a comparison makes of its figures, with contenders that only pretend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/compare/compare.h"
#include "bench/compare/load.h"
#include "bench/compare/result.h"
#include "bench/compare/workloads.h"
#include "bench/statistics.h"

namespace postpone::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const Measure kRate = {"jobs_per_s", "jobs a second"};
const Measure kWait = {"p50_ms", "p50, ms", false};

Line line(const std::string& name, Kind kind, const Measure& measure, const std::vector<double>& values) {
  Line made = {name, "", kind};
  for (const double value : values) made.rounds.push_back({{measure.name, value}});
  return made;
}

TEST(Statistics, TheMedianLiesBetweenTwoMiddleValues) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 10}), 3);
  EXPECT_EQ(median({}), 0);
}

TEST(Statistics, AQuantileIsOneOfTheValues) {
  const std::vector<double> values = {50, 10, 40, 20, 30};
  EXPECT_EQ(quantile(values, 0), 10);
  EXPECT_EQ(quantile(values, 0.5), 30);
  EXPECT_EQ(quantile(values, 0.99), 40);
  EXPECT_EQ(quantile(values, 1), 50);
}

TEST(Comparison, RatiosAreTakenRoundByRound) {
  // The machine was twice as slow in the second round, for both.
  const Line ours = line("Postpone", Kind::own, kRate, {100, 50, 90});
  const Line theirs = line("peer", Kind::peer, kRate, {200, 100, 200});
  const auto ratio = ratio_of(ours, theirs, kRate);
  ASSERT_TRUE(ratio);
  EXPECT_DOUBLE_EQ(ratio->lowest, 0.45);
  EXPECT_DOUBLE_EQ(ratio->median, 0.5);
  EXPECT_DOUBLE_EQ(ratio->highest, 0.5);
}

TEST(Comparison, ThereIsNoRatioWithoutACommonRound) {
  EXPECT_FALSE(ratio_of(line("a", Kind::own, kRate, {1}), line("b", Kind::peer, kWait, {1}), kRate));
  EXPECT_FALSE(ratio_of(line("a", Kind::own, kRate, {1}), line("b", Kind::peer, kRate, {0}), kRate));
}

TEST(Comparison, TheBestPeerIsTheQuickestOfAMeasureAndNeverOurselves) {
  const Result waits = {"latency",
                        "",
                        {kWait},
                        {kBestPeer},
                        {line("Postpone", Kind::own, kWait, {0.1}), line("slow", Kind::peer, kWait, {2}),
                         line("quick", Kind::peer, kWait, {1}), line("floor", Kind::floor, kWait, {0.01})}};
  EXPECT_EQ(base_of(waits, kWait)->contender, "quick");
  const Result rates = {"noop",
                        "",
                        {kRate},
                        {kBestPeer},
                        {line("slow", Kind::peer, kRate, {1}), line("quick", Kind::peer, kRate, {2})}};
  EXPECT_EQ(base_of(rates, kRate)->contender, "quick");
}

TEST(Comparison, TheFloorIsTheBaseWhenThePeerIsAbsent) {
  Result result = {"noop", "", {kRate}, {"peer", "floor"}, {line("floor", Kind::floor, kRate, {1})}};
  EXPECT_EQ(base_of(result, kRate)->contender, "floor");
  result.lines.push_back(line("peer", Kind::peer, kRate, {1}));
  EXPECT_EQ(base_of(result, kRate)->contender, "peer");
  result.lines.clear();
  EXPECT_EQ(base_of(result, kRate), nullptr);
}

TEST(Comparison, TheTableHasFiguresRatiosAndWhoIsAbsent) {
  const Result result = {
      "noop-10",
      "waiting jobs",
      {kRate, kWait},
      {"peer"},
      {line("peer", Kind::peer, kRate, {47'400}), line("Postpone", Kind::own, kRate, {23'700.4})},
      {{"other", "npm has not installed it"}}};
  const std::string text = text_of(result);
  EXPECT_THAT(text, HasSubstr("noop-10: waiting jobs\n"));
  EXPECT_THAT(text, HasSubstr("ratio to peer\n"));
  EXPECT_THAT(text,
              testing::ContainsRegex("Postpone +23700 +23700 +23700  0\\.500 \\(0\\.500 to 0\\.500\\)\n"));
  EXPECT_THAT(text, HasSubstr("  absent: other: npm has not installed it\n"));
}

TEST(Comparison, JsonHasNoFigureThatWasNotMeasured) {
  const Result result = {
      "noop-10",
      "waiting jobs",
      {kRate, kWait},
      {"peer"},
      {line("peer", Kind::peer, kRate, {10, 20}), line("Postpone", Kind::own, kRate, {5, 5})}};
  const nlohmann::json answer = json_of(result);
  EXPECT_EQ(answer.at("measures").at(0).at("base"), "peer");
  EXPECT_TRUE(answer.at("measures").at(1).at("base").is_null());
  const auto& ours = answer.at("contenders").at(1);
  EXPECT_EQ(ours.at("kind"), "own");
  EXPECT_EQ(ours.at("figures").size(), 1);
  EXPECT_EQ(ours.at("figures").at("jobs_per_s").at("rounds"), (std::vector<double>{5, 5}));
  EXPECT_EQ(ours.at("figures").at("jobs_per_s").at("ratio").at("median"), 0.375);
  EXPECT_EQ(ours.at("figures").at("jobs_per_s").at("spread").at("highest"), 5);
}

TEST(Load, TheIdealIsWhatTheJobsTakeAlone) {
  EXPECT_EQ((Load{.concurrency = 8, .ms = 10}.ideal_jobs_per_s()), 800);
  EXPECT_EQ((Load{.concurrency = 10, .long_every = 10, .long_ms = 20}.ideal_jobs_per_s()), 5000);
}

TEST(Load, PeersReadItAsJson) {
  const nlohmann::json text = json_of(Load{.asked = Load::Asked::arrivals, .jobs = 7, .own_locks = true});
  EXPECT_EQ(text.at("kind"), "arrivals");
  EXPECT_EQ(text.at("jobs"), 7);
  EXPECT_EQ(text.at("own_locks"), true);
}

// --- which workloads ---

std::vector<std::string> names_of(const std::vector<Workload>& workloads) {
  std::vector<std::string> names;
  for (const Workload& workload : workloads) names.push_back(workload.name);
  return names;
}

std::vector<Workload> four() {
  std::vector<Workload> all(4);
  const char* names[] = {"noop-1", "noop-10", "nooperative", "latency"};
  for (std::size_t i = 0; i < all.size(); ++i) all[i].name = names[i];
  return all;
}

TEST(Workloads, AreChosenByNameOrByWhatTheirNamesBeginWith) {
  EXPECT_THAT(names_of(chosen(four(), {"latency", "noop"})), ElementsAre("noop-1", "noop-10", "latency"));
  EXPECT_THAT(names_of(chosen(four(), {"noop-1"})), ElementsAre("noop-1"));
}

TEST(Workloads, AnUnknownOneIsNamedInOneLineWithThoseThereAre) {
  try {
    chosen(four(), {"latency", "noops"});
    FAIL() << "no complaint";
  } catch (const std::invalid_argument& mistake) {
    EXPECT_THAT(mistake.what(), HasSubstr("no workload \"noops\"; there are noop-1 noop-10"));
    EXPECT_THAT(mistake.what(), Not(HasSubstr("\n")));
  }
}

// --- turns ---

class Pretender : public Contender {
 public:
  Pretender(About about, std::vector<std::string>& turns) : Contender(std::move(about)), turns_(turns) {}
  Figures measure(const Load& load) override {
    turns_.push_back(about().name + ' ' + std::to_string(load.jobs));
    if (about().name == "absent") throw Absent("it is elsewhere");
    if (about().name == "broken" && ++attempts_ == 2) throw std::runtime_error("it fell\ninto pieces");
    return {{kRate.name, load.jobs}};
  }

 private:
  std::vector<std::string>& turns_;
  int attempts_ = 0;
};

Workload with(const std::vector<std::string>& names, std::vector<std::string>& turns) {
  return {.name = "noop",
          .title = "",
          .load = {.jobs = 1000},
          .measures = {kRate},
          .bases = {},
          .contenders = [names, &turns] {
            Contenders field;
            for (const std::string& name : names)
              field.push_back(std::make_unique<Pretender>(
                  Contender::About{.name = name, .settings = "", .pace = name == "slow" ? 0.1 : 1}, turns));
            return field;
          }};
}

TEST(Turns, GoForthAndBackAndASlowContenderGetsFewerJobs) {
  std::vector<std::string> turns;
  const Result result = measured(with({"quick", "slow"}, turns), 2, 0.5);
  EXPECT_THAT(turns, ElementsAre("quick 500", "slow 50", "slow 50", "quick 500"));
  EXPECT_THAT(values_of(result.lines.at(1), kRate), ElementsAre(50, 50));
  EXPECT_FALSE(result.has_failure);
}

TEST(Turns, AnAbsentContenderIsNamedAndAskedNoMore) {
  std::vector<std::string> turns;
  const Result result = measured(with({"absent", "quick"}, turns), 3, 1);
  EXPECT_EQ(turns.size(), 4);
  ASSERT_EQ(result.lines.size(), 1);
  ASSERT_EQ(result.absent.size(), 1);
  EXPECT_EQ(result.absent[0].why, "it is elsewhere");
  EXPECT_FALSE(result.has_failure);
}

TEST(Turns, OneThatFailsKeepsItsRoundsAndDoesNotStopTheOthers) {
  std::vector<std::string> turns;
  const Result result = measured(with({"broken", "quick"}, turns), 3, 1);
  EXPECT_TRUE(result.has_failure);
  EXPECT_EQ(result.absent.at(0).why, "it failed: it fell");
  EXPECT_EQ(values_of(result.lines.at(0), kRate).size(), 1);
  EXPECT_EQ(values_of(result.lines.at(1), kRate).size(), 3);
}

}  // namespace
}  // namespace postpone::bench

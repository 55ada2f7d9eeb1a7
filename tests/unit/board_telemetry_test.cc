// What is told on the board: values of several words without a lock, rings, counters by name.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "board/telemetry.h"

namespace postpone::board {
namespace {

struct Twins {
  std::int64_t words[64];
};

Twins twins(std::int64_t value) {
  Twins all;
  for (auto& word : all.words) word = value;
  return all;
}

TEST(Guarded, ZeroedMemoryHoldsAZeroedValue) {
  const Guarded<Twins> guarded{};
  ASSERT_TRUE(guarded.read());
  EXPECT_EQ(guarded.read()->words[7], 0);
}

TEST(Guarded, IsNeverTornWhileItIsWritten) {
  Guarded<Twins> guarded{};
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::int64_t i = 1; !stop; ++i) guarded.write(twins(i));
  });
  int seen = 0;
  for (int i = 0; i < 1'000'000 && seen < 20'000; ++i) {
    const auto value = guarded.read();
    if (!value) continue;  // unknown is an answer
    ++seen;
    for (const auto word : value->words) ASSERT_EQ(word, value->words[0]);
  }
  stop = true;
  writer.join();
  EXPECT_GT(seen, 0);
}

// What a writer leaves that was killed half-way, byte by byte.
TEST(Guarded, AWriterThatDiedHalfWayLeavesItUnknownUntilTheNextOneWrites) {
  auto guarded = std::make_unique<Guarded<Twins>>();
  guarded->write(twins(5));
  std::uint32_t version = 0;
  std::memcpy(&version, guarded.get(), sizeof version);
  ++version;
  std::memcpy(static_cast<void*>(guarded.get()), &version, sizeof version);
  EXPECT_FALSE(guarded->read());
  guarded->write(twins(6));
  ASSERT_TRUE(guarded->read());
  EXPECT_EQ(guarded->read()->words[63], 6);
}

TEST(Ring, GivesEachValueOnceAndForgetsTheOldest) {
  Ring<Twins, 4> ring{};
  std::vector<std::int64_t> seen;
  const auto take = [&](const Twins& value) { seen.push_back(value.words[0]); };
  ring.push(twins(1));
  ring.push(twins(2));
  std::uint64_t next = ring.read_from(0, take);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2}));
  seen.clear();
  next = ring.read_from(next, take);
  EXPECT_TRUE(seen.empty());
  for (int i = 3; i <= 9; ++i) ring.push(twins(i));
  ring.read_from(next, take);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{6, 7, 8, 9}));
}

TEST(Text, IsCutBetweenTwoCharacters) {
  EXPECT_EQ(Text<16>("short").view(), "short");
  EXPECT_EQ(Text<16>("fourteen bytes").view(), "fourteen bytes");
  EXPECT_EQ(Text<16>("fifteen letters").view(), "fifteen let…");
  EXPECT_EQ(Text<16>("ääääääää").view(), "äääää…");
  EXPECT_EQ(Text<16>("").view(), "");
}

TEST(Histogram, CountsAValueInTheBucketWhoseBoundItDoesNotPass) {
  Histogram histogram{};
  histogram.observe(1'000'000, kJobBounds);          // 1 ms: the first bucket, its bound included
  histogram.observe(1'000'001, kJobBounds);          // the second
  histogram.observe(7'201'000'000'000, kJobBounds);  // beyond the last
  HistogramSum sum;
  sum.add(histogram);
  sum.add(histogram);
  EXPECT_EQ(sum.counts[0], 2U);
  EXPECT_EQ(sum.counts[1], 2U);
  EXPECT_EQ(sum.counts[kBounds], 2U);
  EXPECT_EQ(sum.sum_ns, 2U * 7'201'002'000'001U);
}

TEST(Tallies, FindANameAgain) {
  auto tallies = std::make_unique<Tallies>();
  add(tallies->of("kitchen").run_ns, 3);
  add(tallies->of("bar").run_ns, 4);
  add(tallies->of("kitchen").run_ns, 5);
  EXPECT_EQ(tallies->in_use(), 2U);
  EXPECT_EQ(tallies->of("kitchen").run_ns.load(), 8U);
}

TEST(Tallies, WhatComesTooLateIsCountedTogether) {
  auto tallies = std::make_unique<Tallies>();
  for (std::size_t i = 0; i < 3 * kMaxTallies; ++i) add(tallies->of("queue " + std::to_string(i)).run_ns);
  EXPECT_EQ(tallies->in_use(), kMaxTallies);
  EXPECT_EQ(tallies->entries[kMaxTallies - 1].name.view(), kOthers);
  EXPECT_EQ(tallies->entries[kMaxTallies - 1].run_ns.load(), 2 * kMaxTallies + 1);
  add(tallies->of("queue 7").run_ns);
  EXPECT_EQ(tallies->of("queue 7").run_ns.load(), 2U);
}

}  // namespace
}  // namespace postpone::board

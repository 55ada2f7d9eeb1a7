#include "subworker/task/output.h"

#include "subworker/task/job_log.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace postpone::subworker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Stream = Output::Stream;

class OutputOfAJob : public testing::Test {
 protected:
  void out(std::string_view bytes) { output_.append(Stream::out, bytes); }
  void err(std::string_view bytes) { output_.append(Stream::err, bytes); }

  std::vector<std::string> lines_;  // "out: …" or "err: …"
  Output output_{[this](Stream stream, std::string_view line) {
    lines_.push_back((stream == Stream::out ? "out: " : "err: ") + std::string(line));
  }};
};

TEST_F(OutputOfAJob, IsHandedOnLineByLine) {
  out("one\ntwo\n");
  EXPECT_THAT(lines_, ElementsAre("out: one", "out: two"));
}

TEST_F(OutputOfAJob, LineIsJoinedFromWhatTheReadsCutApart) {
  out("o");
  out("n");
  EXPECT_THAT(lines_, IsEmpty());
  out("e\nt");
  EXPECT_THAT(lines_, ElementsAre("out: one"));
  out("wo\n");
  EXPECT_THAT(lines_, ElementsAre("out: one", "out: two"));
}

TEST_F(OutputOfAJob, EmptyLinesStay) {
  out("\n\na\n\n");
  EXPECT_THAT(lines_, ElementsAre("out: ", "out: ", "out: a", "out: "));
}

TEST_F(OutputOfAJob, NothingReadIsNothingSaid) {
  out("");
  output_.finish();
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(OutputOfAJob, StreamsDoNotMixWithinALine) {
  out("he");
  err("wor");
  out("llo\n");
  err("ld\n");
  EXPECT_THAT(lines_, ElementsAre("out: hello", "err: world"));
}

TEST_F(OutputOfAJob, UnfinishedLinesComeAtTheEndAndOnce) {
  out("no newline");
  err("none here");
  output_.finish();
  EXPECT_THAT(lines_, ElementsAre("out: no newline", "err: none here"));
  EXPECT_EQ(output_.stderr_tail(), "none here") << "as it was written";
  output_.finish();
  EXPECT_EQ(lines_.size(), 2U);
}

TEST_F(OutputOfAJob, LongLineComesInPieces) {
  const std::string piece(Output::kMaxLineBytes, 'x');
  out(piece + piece + "rest\n");
  EXPECT_THAT(lines_, ElementsAre("out: " + piece, "out: " + piece, "out: rest"));
}

TEST_F(OutputOfAJob, LongLineIsNotCutWithinACharacter) {
  const std::string line(Output::kMaxLineBytes - 1, 'x');
  out(line + "\xe2\x82\xac!\n");
  EXPECT_THAT(lines_, ElementsAre("out: " + line, "out: \xe2\x82\xac!"));
}

TEST_F(OutputOfAJob, LineThatJustFitsIsOneLineWhereverTheReadsCut) {
  const std::string line(Output::kMaxLineBytes, 'x');
  out(line + "\n");
  out(line);
  out("\n");
  for (char c : line + "\n") out({&c, 1});
  out(line);
  output_.finish();
  EXPECT_THAT(lines_, ElementsAre("out: " + line, "out: " + line, "out: " + line, "out: " + line));
}

TEST_F(OutputOfAJob, EveryByteOfBothStreamsCountsAndEveryLine) {
  out("four\n");
  err("5678\n");
  out("x");
  EXPECT_EQ(output_.cost(), 11 + 2 * Output::kLineCost);
  output_.finish();
  EXPECT_EQ(output_.cost(), 11 + 3 * Output::kLineCost);
}

TEST_F(OutputOfAJob, WhatCostsMoreThanTheLimitIsNotHandedOn) {
  output_.start(2 * Output::kLineCost + 10);
  out("one\ntwo\n");
  EXPECT_EQ(output_.dropped_bytes(), 0);
  out("three\nfour\n");
  EXPECT_THAT(lines_, ElementsAre("out: one", "out: two"));
  EXPECT_EQ(output_.dropped_bytes(), 11);
  err("the end\n");
  EXPECT_EQ(output_.stderr_tail(), "the end\n") << "is kept all the same";
  output_.start(1000);
  out("again\n");
  EXPECT_EQ(lines_.back(), "out: again");
}

TEST_F(OutputOfAJob, NextJobStartsWithoutTailAndCount) {
  err("an old error\n");
  output_.finish();
  output_.start(1000);
  EXPECT_EQ(output_.cost(), 0);
  EXPECT_EQ(output_.stderr_tail(), "");
  err("a new one\n");
  EXPECT_EQ(output_.stderr_tail(), "a new one\n");
}

TEST_F(OutputOfAJob, TailIsOfStderrOnly) {
  out("progress\n");
  err("first\n");
  err("second\n");
  EXPECT_EQ(output_.stderr_tail(), "first\nsecond\n");
}

TEST_F(OutputOfAJob, TailKeepsTheLastWholeLinesThatFit) {
  for (int i = 0; i < 1000; ++i) err("line " + std::to_string(1000 + i) + "\n");  // ten bytes each
  const std::string_view tail = output_.stderr_tail();
  EXPECT_EQ(tail.size(), Output::kTailBytes / 10 * 10);
  EXPECT_TRUE(tail.starts_with("line 1796\n"));
  EXPECT_TRUE(tail.ends_with("line 1999\n"));
}

TEST_F(OutputOfAJob, TailThatIsCutWhereALineBeginsKeepsThatLine) {
  const std::string line(Output::kTailBytes / 2 - 1, 'x');
  err("old\n");
  err(line + "\n" + line + "\n");
  EXPECT_EQ(output_.stderr_tail(), line + "\n" + line + "\n");
}

TEST_F(OutputOfAJob, TailOfOneEndlessLineIsItsEnd) {
  err(std::string(10'000, 'a') + "the end\n");
  const std::string_view tail = output_.stderr_tail();
  EXPECT_LE(tail.size(), Output::kTailBytes);
  EXPECT_TRUE(tail.ends_with("the end\n"));
}

TEST_F(OutputOfAJob, TailOfALongLineHasNoEndsThatWereNeverWritten) {
  std::string line = "x";
  for (int i = 0; i < 1366; ++i) line += "\xe2\x82\xac";
  err(line);
  output_.finish();
  EXPECT_EQ(output_.stderr_tail(), line.substr(line.size() - 2046))
      << "whole characters, and no more than 2 KiB";
}

TEST_F(OutputOfAJob, TailIsNotCutAtALineThatLeavesLittle) {
  const std::string first(2039, 'a');
  err(first + "\nthe end of it all\n");
  EXPECT_EQ(output_.stderr_tail(), (first + "\nthe end of it all\n").substr(10));
}

TEST_F(OutputOfAJob, TailOfWhatIsNoTextIsItsEnd) {
  err(std::string(5000, '\x80'));
  EXPECT_EQ(output_.stderr_tail(), std::string(Output::kTailBytes - 3, '\x80'));
}

TEST_F(OutputOfAJob, TailCutsInsideALineThatAloneIsTooLong) {
  err("before\n" + std::string(3000, 'a') + "z\n");
  EXPECT_EQ(output_.stderr_tail(), std::string(Output::kTailBytes - 2, 'a') + "z\n");
}

TEST(ALineForTheLog, CountsAsMuchAsIsLogged) {
  EXPECT_EQ(logged_bytes({.text = "abc", .fields = R"({"a":1})"}), 10u);
  EXPECT_EQ(logged_bytes({.text = "abc", .fields = std::string(16UL * 1024 + 1, 'x')}), 3u) << "left out";
  EXPECT_EQ(logged_bytes({.text = std::string(1'000'000, 'x'), .fields = ""}), 8UL * 1024 + 3) << "cut";
}

}  // namespace
}  // namespace postpone::subworker

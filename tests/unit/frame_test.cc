#include "libtask/wire/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "libtask/wire/ledger.h"

namespace libtask::wire {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

Frame decode_one(std::string_view encoded) {
  Decoder decoder;
  decoder.append(encoded);
  auto frame = decoder.next();
  if (!frame) throw std::logic_error("the frame is not complete");
  if (decoder.next()) throw std::logic_error("there is more than one frame");
  return *frame;
}

// What a decoder says of a frame with this type and body.
auto decoding(int type, const std::string& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 1);
  std::string encoded;
  for (int shift = 0; shift < 32; shift += 8) encoded += static_cast<char>(length >> shift);
  encoded += static_cast<char>(type);
  return [encoded = encoded + body] { decode_one(encoded); };
}

Result full_result() {
  return {
      .job_id = std::numeric_limits<std::int64_t>::max(),
      .status = ResultStatus::exception,
      .exception_type = "std::runtime_error",
      .message = std::string("with a \0 in it", 14),
      .retryable = false,
      .retry_in_us = 1'500'000,
      .retry_counts = false,
      .retry_priority = -7,
      .retry_queue = "slow",
      .retry_lock = "sink",
      .cpu_us = 12,
      .max_rss_bytes = 1ULL << 40U,
      .defers = {{.task = "mail.send",
                  .args = R"({"to":"Zoë"})",
                  .queue = "mail",
                  .priority = -3,
                  .lock = "",
                  .queueing_lock = std::nullopt,
                  .delay_us = 5},
                 {.task = "t", .args = "{}", .queue = "q", .lock = std::nullopt, .queueing_lock = "once"}}};
}

TEST(Frames, HelloComesBack) {
  const auto hello =
      std::get<Hello>(decode_one(encode(Hello{.libtask_version = "1.2.3", .description = "{}"})));
  EXPECT_EQ(hello.magic, kMagic);
  EXPECT_EQ(hello.protocol_version, kProtocolVersion);
  EXPECT_EQ(hello.libtask_version, "1.2.3");
  EXPECT_EQ(hello.description, "{}");
}

TEST(Frames, HelloOfAnOlderVersionThatIsServedComesBack) {
  const auto hello = std::get<Hello>(decode_one(encode(
      Hello{.protocol_version = kOldestProtocolVersion, .libtask_version = "1", .description = "{}"})));
  EXPECT_EQ(hello.protocol_version, kOldestProtocolVersion);
  EXPECT_EQ(hello.description, "{}");
}

TEST(Frames, RunsComeBackInTheirOrder) {
  const auto runs = std::get<Runs>(decode_one(encode(
      Runs{.set = kHighestSet,
           .max_rss_bytes = 1ULL << 40U,
           .runs = {{.job_id = 7, .task = "a", .args = "{}"}, {.job_id = 5, .task = "b", .lock = "l"}}})));
  EXPECT_EQ(runs.set, kHighestSet);
  EXPECT_EQ(runs.max_rss_bytes, 1ULL << 40U);
  ASSERT_EQ(runs.runs.size(), 2u);
  EXPECT_EQ(runs.runs[0].job_id, 7);
  EXPECT_EQ(runs.runs[0].args, "{}");
  EXPECT_EQ(runs.runs[1].task, "b");
  EXPECT_EQ(runs.runs[1].lock, "l");
}

TEST(Frames, ASetIsAsLargeAsTheLedgerAtMostAndNotEmpty) {
  const auto decoding_set = [](std::size_t jobs, std::uint32_t set = 1) {
    return
        [encoded = encode(Runs{.set = set, .runs = std::vector<wire::Run>(jobs)})] { decode_one(encoded); };
  };
  EXPECT_NO_THROW(decoding_set(kLedgerEntries)());
  EXPECT_THAT(decoding_set(kLedgerEntries + 1), ThrowsMessage<ProtocolError>(HasSubstr("too many jobs")));
  EXPECT_THAT(decoding_set(0), ThrowsMessage<ProtocolError>(HasSubstr("or none")));
  EXPECT_THAT(decoding_set(1, kHighestSet + 1), ThrowsMessage<ProtocolError>(HasSubstr("set number")));
}

TEST(Ledger, ACursorComesBackFromItsWord) {
  for (const Cursor& cursor :
       {Cursor{}, Cursor{kHighestSet, true, 0xffffffff}, Cursor{3, false, 127}, Cursor{1, true, 0}})
    EXPECT_EQ(to_cursor(to_word(cursor)), cursor);
  EXPECT_EQ(to_word({.set = 1, .stop = true, .index = 2}), 0x3'0000'0002U);
}

TEST(Ledger, ACursorIsBelievedWithinItsSetAndForwardOnly) {
  EXPECT_TRUE(possible_in({.set = 4, .stop = false, .index = 0}, 4, 3));
  EXPECT_TRUE(possible_in({.set = 4, .stop = true, .index = 2}, 4, 3, 2));
  EXPECT_FALSE(possible_in({.set = 5, .stop = false, .index = 0}, 4, 3)) << "another set";
  EXPECT_FALSE(possible_in({.set = 4, .stop = false, .index = 3}, 4, 3)) << "behind the last job";
  EXPECT_FALSE(possible_in({.set = 4, .stop = false, .index = 1}, 4, 3, 2)) << "backwards";
}

TEST(Ledger, ARunIsBelievedWhenItCanHaveBeen) {
  constexpr PlainRun kRun{.started_ns = 10, .ended_ns = 20, .cpu_us = 1, .max_rss_bytes = 4096};
  EXPECT_TRUE(is_possible(kRun, 10, 20));
  EXPECT_FALSE(is_possible(kRun, 11, 20)) << "it began too early";
  EXPECT_FALSE(is_possible(kRun, 10, 19)) << "it ends in the future";
  EXPECT_FALSE(is_possible({.started_ns = 20, .ended_ns = 10}, 0, 100));
  EXPECT_FALSE(is_possible({.started_ns = 10, .ended_ns = 20, .cpu_us = 1ULL << 60U}, 0, 100));
  EXPECT_FALSE(is_possible({.started_ns = 10, .ended_ns = 20, .max_rss_bytes = 1ULL << 60U}, 0, 100));
}

TEST(Frames, AnswersComeBack) {
  EXPECT_TRUE(std::holds_alternative<Welcome>(decode_one(encode(Welcome{}))));
  EXPECT_EQ(std::get<Refuse>(decode_one(encode(Refuse{.reason = "too old"}))).reason, "too old");
}

TEST(Frames, RunComesBack) {
  const auto run =
      std::get<wire::Run>(decode_one(encode(wire::Run{.job_id = -1,
                                                      .attempt = 3,
                                                      .task = "dishes.wash",
                                                      .queue = "kitchen",
                                                      .priority = std::numeric_limits<std::int32_t>::min(),
                                                      .lock = "sink",
                                                      .args = R"({"times":2})",
                                                      .time_limit_ms = 30'000,
                                                      .scheduled_at_us = -1})));
  EXPECT_EQ(run.job_id, -1);
  EXPECT_EQ(run.attempt, 3);
  EXPECT_EQ(run.task, "dishes.wash");
  EXPECT_EQ(run.queue, "kitchen");
  EXPECT_EQ(run.priority, std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(run.lock, "sink");
  EXPECT_EQ(run.args, R"({"times":2})");
  EXPECT_EQ(run.time_limit_ms, 30'000);
  EXPECT_EQ(run.scheduled_at_us, -1);
}

TEST(Frames, LogComesBack) {
  const auto log = std::get<Log>(decode_one(
      encode(Log{.job_id = 7, .level = Log::Level::error, .text = "no towel", .fields = R"({"left":0})"})));
  EXPECT_EQ(log.job_id, 7);
  EXPECT_EQ(log.level, Log::Level::error);
  EXPECT_EQ(log.text, "no towel");
  EXPECT_EQ(log.fields, R"({"left":0})");
}

// A peer of version 1 or 2 neither gets nor sends what came with version 3.
TEST(Frames, AnOlderPeerIsSpokenToInItsVersion) {
  for (const std::uint16_t version : {1, 2}) {
    Decoder decoder;
    decoder.set_version(version);
    decoder.append(encode(wire::Run{.args = "{}", .time_limit_ms = 5, .scheduled_at_us = 1}, version));
    decoder.append(encode(full_result(), version));
    const auto run = decoder.next();
    ASSERT_TRUE(run);
    EXPECT_EQ(std::get<wire::Run>(*run).time_limit_ms, 5);
    EXPECT_EQ(std::get<wire::Run>(*run).scheduled_at_us, std::nullopt);
    const auto result = decoder.next();
    ASSERT_TRUE(result);
    EXPECT_EQ(std::get<Result>(*result).retry_in_us, 1'500'000);
    EXPECT_EQ(std::get<Result>(*result).retry_queue, std::nullopt);
    EXPECT_EQ(std::get<Result>(*result).defers.size(), 2U);
    EXPECT_EQ(decoder.pending(), 0U);
    EXPECT_EQ(encode(wire::Run{}, version).size() + 1, encode(wire::Run{}).size());
  }
}

TEST(Frames, AbortAndProgressComeBack) {
  const auto abort =
      std::get<Abort>(decode_one(encode(Abort{.job_id = 7, .reason = Abort::Reason::shutdown})));
  EXPECT_EQ(abort.job_id, 7);
  EXPECT_EQ(abort.reason, Abort::Reason::shutdown);
  const auto progress =
      std::get<Progress>(decode_one(encode(Progress{.job_id = 7, .done = 1, .total = ~0ULL})));
  EXPECT_EQ(progress.job_id, 7);
  EXPECT_EQ(progress.done, 1U);
  EXPECT_EQ(progress.total, ~0ULL);
}

TEST(Frames, StackComesBackHoweverItWasMade) {
  const std::vector<std::uint64_t> addresses = {1, 0xffffffffffffffff, 0x7f00};
  const std::string usual = encode(Stack{.job_id = 7, .thread = 4711, .addresses = addresses});
  const auto stack = std::get<Stack>(decode_one(usual));
  EXPECT_EQ(stack.job_id, 7);
  EXPECT_EQ(stack.thread, 4711);
  EXPECT_EQ(stack.addresses, addresses);
  EXPECT_EQ(StackBytes(7, 4711, addresses.data(), addresses.size()).bytes(), usual);
  const std::vector<std::uint64_t> most(kMaxStackFrames, 9);
  EXPECT_EQ(StackBytes(-1, 1, most.data(), most.size()).bytes(),
            encode(Stack{.job_id = -1, .thread = 1, .addresses = most}));
}

TEST(Frames, AStackThatIsTooDeepIsRefused) {
  const Stack deep{.job_id = 7, .addresses = std::vector<std::uint64_t>(kMaxStackFrames + 1)};
  EXPECT_THAT([&] { decode_one(encode(deep)); }, ThrowsMessage<ProtocolError>(HasSubstr("too many")));
}

TEST(Frames, ResultComesBackWithWhatItDefers) {
  const Result sent = full_result();
  const auto result = std::get<Result>(decode_one(encode(sent)));
  EXPECT_EQ(result.job_id, sent.job_id);
  EXPECT_EQ(result.status, sent.status);
  EXPECT_EQ(result.exception_type, sent.exception_type);
  EXPECT_EQ(result.message, sent.message);
  EXPECT_EQ(result.abort_reason, sent.abort_reason);
  EXPECT_EQ(result.retryable, sent.retryable);
  EXPECT_EQ(result.retry_in_us, sent.retry_in_us);
  EXPECT_EQ(result.retry_counts, sent.retry_counts);
  EXPECT_EQ(result.retry_priority, sent.retry_priority);
  EXPECT_EQ(result.retry_queue, sent.retry_queue);
  EXPECT_EQ(result.retry_lock, sent.retry_lock);
  EXPECT_EQ(result.cpu_us, sent.cpu_us);
  EXPECT_EQ(result.max_rss_bytes, sent.max_rss_bytes);
  ASSERT_EQ(result.defers.size(), 2U);
  EXPECT_EQ(result.defers[0].args, sent.defers[0].args);
  EXPECT_EQ(result.defers[0].priority, -3);
  EXPECT_EQ(result.defers[0].lock, "");
  EXPECT_EQ(result.defers[0].queueing_lock, std::nullopt);
  EXPECT_EQ(result.defers[0].delay_us, 5);
  EXPECT_EQ(result.defers[1].lock, std::nullopt);
  EXPECT_EQ(result.defers[1].queueing_lock, "once");
}

TEST(Frames, BytesAreThoseOfTheSpecification) {
  EXPECT_EQ(encode(Welcome{}), bytes({1, 0, 0, 0, 2}));
  EXPECT_EQ(encode(Refuse{.reason = "no"}), bytes({7, 0, 0, 0, 3, 2, 0, 0, 0, 'n', 'o'}));
  EXPECT_EQ(encode(Abort{.job_id = 258, .reason = Abort::Reason::time_limit}),
            bytes({10, 0, 0, 0, 5, 2, 1, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(encode(Hello{}).substr(0, 11), bytes({15, 0, 0, 0, 1, 'K', 'T', 'P', 'P', 3, 0}));
}

// What a job does not have costs it nothing, and an executable of an older version never sees it.
TEST(Frames, WhatIsNotGivenIsNotInTheBody) {
  const wire::Run plain{.job_id = 7, .task = "t", .queue = "q", .args = "{}"};
  wire::Run with_meta = plain;
  with_meta.meta = R"({"tenant": "ann"})";
  const std::string text = encode(plain);
  EXPECT_EQ(encode(with_meta).size(), text.size() + 1 + 4 + with_meta.meta.size());
  EXPECT_EQ(std::get<wire::Run>(decode_one(text)).meta, "");
  EXPECT_EQ(std::get<wire::Run>(decode_one(encode(with_meta))).meta, with_meta.meta);
  EXPECT_EQ(encode(Progress{}).size(), 4U + 1 + 3 * 8);
}

TEST(Frames, EachJobOfASetHasItsOwnMeta) {
  Runs runs{.set = 1, .runs = {{.job_id = 1}, {.job_id = 2, .meta = R"({"a": 1})"}, {.job_id = 3}}};
  const auto read = std::get<Runs>(decode_one(encode(runs)));
  ASSERT_EQ(read.runs.size(), 3U);
  EXPECT_EQ(read.runs[0].meta, "");
  EXPECT_EQ(read.runs[1].meta, R"({"a": 1})");
  EXPECT_EQ(read.runs[2].meta, "");
}

TEST(Frames, EachJobSaysWhoDeferredIt) {
  const wire::Run follower{.job_id = 8, .task = "t", .args = "{}", .meta = "{}", .deferred_by = 7};
  const auto one = std::get<wire::Run>(decode_one(encode(follower)));
  EXPECT_EQ(one.deferred_by, 7);
  EXPECT_EQ(one.meta, "{}");
  Runs runs{.set = 1, .runs = {{.job_id = 1}, {.job_id = 9, .deferred_by = 1LL << 40}, {.job_id = 3}}};
  const auto read = std::get<Runs>(decode_one(encode(runs)));
  ASSERT_EQ(read.runs.size(), 3U);
  EXPECT_EQ(read.runs[0].deferred_by, std::nullopt);
  EXPECT_EQ(read.runs[1].deferred_by, 1LL << 40);
  EXPECT_EQ(read.runs[2].deferred_by, std::nullopt);
  runs.runs[1].deferred_by.reset();
  EXPECT_LT(encode(runs).size(), encode(Runs{.set = 1, .runs = read.runs}).size())
      << "it costs others nothing";
}

TEST(Frames, WhoDeferredAJobIsANumberOfOneJob) {
  const std::string run = encode(wire::Run{.task = "t"}).substr(5);
  const std::string seven = bytes({3, 1, 0, 0, 0, '7'});
  decoding(4, run + seven)();
  EXPECT_THAT(decoding(4, run + seven + seven),
              ThrowsMessage<ProtocolError>(HasSubstr("who deferred for more jobs than it has")));
  EXPECT_THAT(decoding(4, run + bytes({3, 2, 0, 0, 0, '7', 'x'})),
              ThrowsMessage<ProtocolError>(HasSubstr("deferred by \"7x\", which is no number")));
}

TEST(Frames, ADeferredJobHasItsOwnMetaOrNone) {
  Result result = full_result();
  result.defers[1].meta = "{}";
  const auto read = std::get<Result>(decode_one(encode(result)));
  EXPECT_EQ(read.defers[0].meta, "");
  EXPECT_EQ(read.defers[1].meta, "{}");
}

TEST(Frames, ANoteAndAValueComeBack) {
  const auto progress =
      std::get<Progress>(decode_one(encode(Progress{.job_id = 7, .done = 1, .note = "hashing"})));
  EXPECT_EQ(progress.note, "hashing");
  const auto value = std::get<Value>(decode_one(encode(Value{.job_id = 7, .json = "[1, 2]"})));
  EXPECT_EQ(value.job_id, 7);
  EXPECT_EQ(value.json, "[1, 2]");
  EXPECT_EQ(encode(value)[4], 10);
}

TEST(Frames, WhatALaterVersionAddsIsPassedOver) {
  const std::string progress = std::string(24, '\0') + bytes({77, 2, 0, 0, 0, 'x', 'y', 2, 1, 0, 0, 0, 'n'});
  decoding(6, progress)();
  const std::string cut = std::string(24, '\0') + bytes({2, 9, 0, 0, 0, 'n'});
  EXPECT_THAT(decoding(6, cut), ThrowsMessage<ProtocolError>(HasSubstr("is too short")));
  const std::string meta_of_nobody = encode(Result{}).substr(5) + bytes({1, 2, 0, 0, 0, '{', '}'});
  EXPECT_THAT(decoding(7, meta_of_nobody),
              ThrowsMessage<ProtocolError>(HasSubstr("meta for more jobs than it has")));
}

TEST(Frames, StreamMayBeCutAnywhere) {
  const std::string stream = encode(Progress{.job_id = 1}) + encode(full_result()) + encode(Welcome{});
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Decoder decoder;
    std::vector<std::size_t> kinds;
    for (const std::string& part : {stream.substr(0, cut), stream.substr(cut)}) {
      decoder.append(part);
      while (const auto frame = decoder.next()) kinds.push_back(frame->index());
    }
    EXPECT_THAT(kinds, ::testing::ElementsAre(5U, 6U, 1U)) << "cut at " << cut;
  }
}

TEST(Frames, ImpossibleLengthsAreRefusedBeforeTheBodyComes) {
  const auto decode = [](const std::string& header) {
    return [header] {
      Decoder decoder;
      decoder.append(header);
      decoder.next();
    };
  };
  EXPECT_THAT(decode(bytes({0, 0, 0, 0})), ThrowsMessage<ProtocolError>(HasSubstr("the length 0")));
  EXPECT_THAT(decode(bytes({1, 0, 0, 1})), ThrowsMessage<ProtocolError>(HasSubstr("the length 16777217")));
  EXPECT_THAT(decode("junk"), ThrowsMessage<ProtocolError>(HasSubstr("more than the allowed")));
}

TEST(Frames, UnknownTypesAreRefused) {
  EXPECT_THAT(decoding(0, ""), ThrowsMessage<ProtocolError>(HasSubstr("unknown type 0")));
  EXPECT_THAT(decoding(77, ""), ThrowsMessage<ProtocolError>(HasSubstr("unknown type 77")));
  EXPECT_THAT(decoding(255, ""), ThrowsMessage<ProtocolError>(HasSubstr("unknown type 255")));
}

TEST(Frames, BodiesOfTheWrongSizeAreRefused) {
  EXPECT_THAT(decoding(5, bytes({1, 2, 3})), ThrowsMessage<ProtocolError>("the body of abort is too short"));
  EXPECT_THAT(decoding(3, bytes({200, 0, 0, 0, 'x'})), ThrowsMessage<ProtocolError>(HasSubstr("too short")));
  EXPECT_THAT(decoding(2, "xx"), ThrowsMessage<ProtocolError>("the body of welcome has 2 bytes too many"));
}

TEST(Frames, BytesThatAreNoEnumeratorAreRefused) {
  std::string abort = encode(Abort{.job_id = 1}).substr(5);
  abort.back() = 3;
  EXPECT_THAT(decoding(5, abort), ThrowsMessage<ProtocolError>("the body of abort has 3 as its reason"));
  std::string result = encode(Result{}).substr(5);
  result[8] = 5;
  EXPECT_THAT(decoding(7, result), ThrowsMessage<ProtocolError>("the body of result has 5 as its status"));
}

TEST(Frames, CountThatPromisesMoreThanThereIsIsRefused) {
  std::string result = encode(Result{}).substr(5);
  result.replace(result.size() - 4, 4, bytes({255, 255, 255, 255}));
  EXPECT_THAT(decoding(7, result), ThrowsMessage<ProtocolError>(HasSubstr("too short")));
}

TEST(Frames, StrangerIsRecognisedByTheMagicNumber) {
  EXPECT_THAT(decoding(1, "GET / HTTP/1.1\r\n"), ThrowsMessage<ProtocolError>(HasSubstr("magic number")));
}

TEST(Frames, HelloOfAnotherVersionCanStillBeRead) {
  std::string body = encode(Hello{.libtask_version = "9.0"}).substr(5);
  body[4] = 9;  // the protocol's version
  const std::string future = body.substr(0, 4 + 2 + 4 + 3) + "fields that nobody here knows";
  std::string frame = bytes({static_cast<int>(future.size() + 1), 0, 0, 0, 1}) + future;
  const auto hello = std::get<Hello>(decode_one(frame));
  EXPECT_EQ(hello.protocol_version, 9);
  EXPECT_EQ(hello.libtask_version, "9.0");
}

TEST(Frames, FrameThatWouldBeTooLongIsNotMade) {
  EXPECT_THROW(encode(Refuse{.reason = std::string(kMaxFrameBytes, 'x')}), std::length_error);
  EXPECT_EQ(encode(Refuse{.reason = std::string(kMaxFrameBytes - 5, 'x')}).size(), kMaxFrameBytes + 4U);
}

// Whatever a task process writes, the sub-worker gets frames or a ProtocolError.
TEST(Frames, NoiseIsRefusedAndNeverMisread) {
  std::mt19937 random(20240229);
  const std::string stream = encode(full_result()) + encode(Progress{.job_id = 1}) + encode(Hello{});
  for (int round = 0; round < 5000; ++round) {
    std::string noisy = stream;
    for (int change = 0; change < 3; ++change) noisy[random() % noisy.size()] = static_cast<char>(random());
    Decoder decoder;
    decoder.append(noisy);
    try {
      while (decoder.next()) {
      }
    } catch (const ProtocolError& error) {
      EXPECT_STRNE(error.what(), "");
    }
  }
}

}  // namespace
}  // namespace libtask::wire

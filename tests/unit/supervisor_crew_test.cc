// Slots, burials and the standing of a crew: all that needs a board and no process.
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <vector>

#include "supervisor/crew/burials.h"
#include "supervisor/crew/slots.h"
#include "supervisor/crew/standing.h"
#include "tests/support/signals.h"

namespace postpone::supervisor {
namespace {

using testing::ElementsAre;

config::Config kitchen_and_bar() {
  config::Config config;
  config.groups.resize(2);
  config.groups[0].name = "kitchen";
  config.groups[1].name = "bar";
  return config;
}

class CrewOfTwo : public testing::Test {
 protected:
  CrewOfTwo() {
    for (MemberId member = 0; is_sub_worker(member); ++member) roster_.unwant(member);
    engage(0, 0);
    engage(1, 1);
  }
  void engage(std::uint32_t slot, std::size_t group) {
    slots_.engage(slot, config_.groups[group].name);
    slots_.begin_incarnation(slot, config_, config_.groups[group]);
    roster_.want(slot, now_);
  }
  void serve(MemberId member) {
    roster_.spawned(member, now_);
    roster_.ready(member);
  }
  Standing standing() const { return judge_standing(config_, roster_, slots_); }

  const Clock::time_point now_ = Clock::now();
  config::Config config_ = kitchen_and_bar();
  board::Board board_ = board::Board::create(2, 2);
  Slots slots_{board_};
  Roster roster_{kHousekeeper + 1, RosterPolicy(), now_};
};

// --- slots ---

TEST_F(CrewOfTwo, ASlotBearsTheNumberOfItsGroupOnTheBoard) {
  EXPECT_EQ(board_.slot(0).group, board::group_id("kitchen"));
  EXPECT_EQ(board_.slot(1).group, board::group_id("bar"));
}

TEST_F(CrewOfTwo, ADismissedSlotServesNoGroupAndIsCommandedToLeave) {
  slots_.dismiss(1);
  EXPECT_FALSE(slots_[1].serves());
  EXPECT_EQ(slots_[1].group_name, "bar") << "its counts are the bar's";
  EXPECT_EQ(board_.slot(1).group, board::kNoGroup);
  EXPECT_EQ(board_.slot(1).command, board::Command::leave);
  EXPECT_TRUE(board_.slot(1).doorbell.is_rung_for(board::kRungForCommand));
}

TEST_F(CrewOfTwo, WhatIsLeavingIsNotCommandedToRunAgain) {
  slots_.command_leave(0);
  slots_.command_all(board::Command::run);
  EXPECT_EQ(board_.slot(0).command, board::Command::leave);
  slots_.command_all(board::Command::drain);
  EXPECT_EQ(board_.slot(0).command, board::Command::drain);
}

TEST_F(CrewOfTwo, AFurtherSlotIsInUseOnTheBoard) {
  engage(2, 0);
  EXPECT_EQ(slots_.size(), 3U);
  EXPECT_EQ(board_.slots(), 3U);
}

// --- standing ---

TEST_F(CrewOfTwo, NamesTheFirstGroupThatIsNotServed) {
  EXPECT_EQ(standing().unserved, "kitchen");
  serve(0);
  EXPECT_EQ(standing().unserved, "bar");
  serve(1);
  EXPECT_EQ(standing().unserved, "");
  EXPECT_FALSE(standing().housekeeper_serves);
  serve(kHousekeeper);
  EXPECT_TRUE(standing().housekeeper_serves);
}

TEST_F(CrewOfTwo, WhatIsLeavingServesNoGroup) {
  serve(0);
  serve(1);
  slots_.command_leave(1);
  EXPECT_EQ(standing().unserved, "bar") << "it takes no further job";
  config_.groups.pop_back();
  EXPECT_EQ(standing().unserved, "") << "the group is gone";
}

TEST_F(CrewOfTwo, CountsMembersThatFail) {
  for (int i = 0; i < 2; ++i) {
    roster_.spawned(1, now_);
    roster_.ended(1, now_, 0);
  }
  EXPECT_EQ(failing_words(standing()),
            "1 of 3 processes do not get ready; they are started again with growing waits");
}

// --- burials ---

class Burying : public CrewOfTwo {
 protected:
  // Those that are buried now.
  std::vector<MemberId> finish(Clock::time_point now = Clock::now()) {
    std::vector<MemberId> buried;
    burials_.finish(now, [&](const Burial& burial) { buried.push_back(burial.member); });
    return buried;
  }
  void fill_all_graves() {
    for (std::int64_t lease = 1000; board_.fill_grave(0, lease);) ++lease;
  }

  Loop loop_;
  TaskCgroups cgroups_{0};
  Children children_{loop_, {}};
  std::function<void()> on_orphan_end_ = [] {};
  Burials burials_{loop_, board_, slots_, cgroups_, children_, [this] { on_orphan_end_(); }};
};

TEST_F(Burying, FillsAGraveAndFreesPermits) {
  board_.slot(0).lease = 7;
  auto permit = board::Permit::try_take(board_, 0, board_.slot(0).generation);
  burials_.add({.member = 0, .lease = 7, .generation = board_.slot(0).generation});
  EXPECT_TRUE(burials_.is_open(0));
  EXPECT_THAT(finish(), ElementsAre(0));
  EXPECT_TRUE(burials_.none());
  EXPECT_EQ(board_.slot(0).lease, 0);
  EXPECT_EQ(board_.grave(0).lease, 7);
  EXPECT_EQ(board_.permit(0).owner, 0U);
}

TEST_F(Burying, WaitsForAFreeGraveWithGrowingPauses) {
  fill_all_graves();
  burials_.add({.member = 0, .lease = 7, .generation = 1});
  burials_.add({.member = 1, .lease = 0, .generation = 1});
  EXPECT_THAT(finish(), ElementsAre(1)) << "it had no lease, and needs no grave";
  Clock::duration longest{};
  for (int i = 0; i < 12; ++i) {
    const auto due = *burials_.next();
    EXPECT_THAT(finish(due), testing::IsEmpty());
    longest = std::max(longest, *burials_.next() - due);
  }
  EXPECT_GT(longest, std::chrono::milliseconds(400)) << "half of the longest pause, at least";
  board_.grave(5).settled_lease.store(board_.grave(5).lease);
  EXPECT_THAT(finish(), ElementsAre(0));
  EXPECT_EQ(burials_.next(), std::nullopt);
}

// Upkeep comes after every event, and a hundred members may speak in one moment.
TEST_F(Burying, TriesBeforeTheirTimeDoNotPutOffTheNextOne) {
  fill_all_graves();
  burials_.add({.member = 0, .lease = 7, .generation = 1});
  finish(now_);
  const auto due = burials_.next();
  for (int i = 0; i < 100; ++i) EXPECT_THAT(finish(now_), testing::IsEmpty());
  EXPECT_EQ(burials_.next(), due);
}

// Enough memory that the kernel needs a moment to take it back.
pid_t start_orphan_that_dies_slowly() {
  const sys::FdPair ready = sys::make_pipe();
  const pid_t orphan = ::fork();
  if (orphan == 0) {
    constexpr std::size_t kBytes = 256 << 20;
    ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    (void)!::write(ready.second.get(), "", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  EXPECT_EQ(::read(ready.first.get(), &byte, 1), 1);
  return orphan;
}

TEST_F(Burying, GoesOnWhenTheLastOrphanIsDeadAndNotAtATime) {
  const pid_t orphan = start_orphan_that_dies_slowly();
  burials_.add({.member = 0, .lease = 7, .generation = 1});
  std::vector<MemberId> buried;
  on_orphan_end_ = [&] {
    buried = finish();
    if (burials_.none()) loop_.stop();
  };
  on_orphan_end_();
  Timer too_late(loop_);
  too_late.set(Clock::now() + std::chrono::minutes(1), [&] { loop_.stop(); });
  if (!burials_.none()) loop_.run();
  EXPECT_THAT(buried, ElementsAre(0));
  EXPECT_FALSE(tests::send_signal(orphan, 0))
      << "a lease was buried while what its sub-worker had started lived";
}

// A known child that is dead keeps the kernel from naming others, which are then looked for in /proc.
TEST_F(Burying, WithoutDescriptorsStrangersAreReapedLater) {
  sys::FdPair leash = sys::make_socketpair(SOCK_SEQPACKET);
  children_.adopt(0, {sys::Process::spawn({.executable = "/bin/true"}), std::move(leash.first)}, 1);
  siginfo_t dead{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(children_.pid(0)), &dead, WEXITED | WNOWAIT), 0);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_NO_THROW(burials_.reap_strangers());
  EXPECT_FALSE(burials_.kill_orphans());
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(burials_.kill_orphans());
}

}  // namespace
}  // namespace postpone::supervisor

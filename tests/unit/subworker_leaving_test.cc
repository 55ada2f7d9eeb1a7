#include "subworker/family/leaving.h"
#include "tests/unit/start_time.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using board::Command;

Leaving after(const LeaveSigns& signs) {
  Leaving leaving;
  leaving.look(signs, kStart);
  return leaving;
}

TEST(AMember, StaysAsLongAsNobodyWantsItToGo) {
  for (const Command command : {Command::run, Command::pause}) {
    const Leaving leaving = after({.command = command});
    EXPECT_FALSE(leaving.is_ordered());
    EXPECT_FALSE(leaving.drains());
    EXPECT_FALSE(leaving.stops_now());
  }
}

TEST(AMember, ThatIsReplacedGoesWithoutAnyGrace) {
  const Leaving leaving = after({.command = Command::leave});
  EXPECT_TRUE(leaving.is_ordered());
  EXPECT_TRUE(leaving.is_replaced());
  EXPECT_FALSE(leaving.drains());
  EXPECT_FALSE(leaving.has_drained_for(0s, kStart + 24h)) << "a running job has all the time that it needs";
}

TEST(AMember, DrainsByCommandBySignalAndWithItsSupervisor) {
  for (const LeaveSigns& signs :
       {LeaveSigns{.command = Command::drain}, LeaveSigns{.signals = 1}, LeaveSigns{.supervisor_gone = true},
        LeaveSigns{.command = Command::stop_now}})
    EXPECT_TRUE(after(signs).drains());
}

TEST(AMember, CountsTheGraceFromTheMomentItSawTheOrder) {
  Leaving leaving = after({.command = Command::drain});
  leaving.look({.command = Command::drain, .signals = 1}, kStart + 5s);
  EXPECT_FALSE(leaving.has_drained_for(10s, kStart + 10s));
  EXPECT_TRUE(leaving.has_drained_for(10s, kStart + 11s));
}

TEST(AMember, ThatDrainsGoesWhateverTheBoardSaysLater) {
  Leaving leaving = after({.command = Command::drain});
  leaving.look({.command = Command::run}, kStart + 1s);
  EXPECT_TRUE(leaving.is_ordered());
}

TEST(AMember, WhoseReplacementIsTakenBackStays) {
  Leaving leaving = after({.command = Command::leave});
  leaving.look({.command = Command::run}, kStart + 1s);
  EXPECT_FALSE(leaving.is_ordered());
}

TEST(AMember, ThatIsReplacedAndLosesItsSupervisorDrains) {
  Leaving leaving = after({.command = Command::leave});
  leaving.look({.command = Command::leave, .supervisor_gone = true}, kStart + 1min);
  EXPECT_FALSE(leaving.is_replaced()) << "there is no supervisor that would start another";
  EXPECT_FALSE(leaving.has_drained_for(10s, kStart + 1min + 10s)) << "the grace counts from then";
  EXPECT_TRUE(leaving.has_drained_for(10s, kStart + 1min + 11s));
}

TEST(AMember, StopsAtTheSecondSignalOrByCommand) {
  EXPECT_FALSE(after({.signals = 1}).stops_now());
  EXPECT_TRUE(after({.signals = 2}).stops_now());
  EXPECT_TRUE(after({.command = Command::stop_now}).stops_now());
}

}  // namespace
}  // namespace postpone::subworker

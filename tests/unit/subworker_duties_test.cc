#include "subworker/housekeeper/duties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/error.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using Time = Duties::Clock::time_point;

// Two duties, of which the first fails when it is told to; the clock stands still.
class TheDuties : public testing::Test {
 protected:
  TheDuties() {
    const sys::Pause pause({100ms, 1s});
    duties_.add({"dishes",
                 [this](Time) {
                   done_.emplace_back("dishes");
                   if (fails_with_) throw sql::DatabaseError(*fails_with_, "no water");
                 },
                 [this](Time) { return dishes_due_; }, pause});
    duties_.add(
        {"floor", [this](Time) { done_.emplace_back("floor"); }, [this](Time) { return floor_due_; }, pause});
  }

  Time now_{1h};
  Time dishes_due_ = now_ + 5s;
  Time floor_due_ = now_ + 9s;
  std::optional<sql::Remedy> fails_with_;
  std::vector<std::string> done_;
  std::vector<std::string> faults_;
  Duties duties_{[this] { return now_; }, [this](const std::string& fault) { faults_.push_back(fault); }};
};

TEST_F(TheDuties, AreDoneInTheirOrderTheUrgentOneBeforeEach) {
  duties_.keep_all();
  EXPECT_THAT(done_, ElementsAre("dishes", "dishes", "floor"));
}

TEST_F(TheDuties, AreDueWhenTheFirstOfThemIs) {
  EXPECT_EQ(duties_.until_next(), 5s);
  floor_due_ = now_ - 1s;
  EXPECT_EQ(duties_.until_next(), 0s);
}

TEST_F(TheDuties, ThatFailKeepNoneOfTheOthersFromBeingDone) {
  fails_with_ = sql::Remedy::bug;
  duties_.keep_all();
  EXPECT_THAT(done_, ElementsAre("dishes", "floor"));
  EXPECT_THAT(faults_, ElementsAre("dishes: no water"));
}

TEST_F(TheDuties, ThatLoseARaceSayNothingUnlessTheyLoseTheNextOneToo) {
  fails_with_ = sql::Remedy::retry;
  dishes_due_ = now_;
  duties_.keep_all();
  EXPECT_THAT(faults_, ElementsAre());
  EXPECT_LE(duties_.until_next(), 100ms) << "it is tried again";
  now_ += 100ms;
  duties_.keep_all();
  EXPECT_THAT(faults_, ElementsAre("dishes: no water"));
}

TEST_F(TheDuties, ThatFailAreDueWhenTheirPauseIsOverAndNotBefore) {
  fails_with_ = sql::Remedy::wait;
  dishes_due_ = now_;
  duties_.keep_all();
  const auto pause = duties_.until_next();
  EXPECT_GT(pause, 0s);
  EXPECT_LE(pause, 100ms);
  duties_.keep_all();
  EXPECT_THAT(done_, ElementsAre("dishes", "floor", "floor"));
  now_ += pause;
  duties_.keep_urgent();
  EXPECT_THAT(done_, ElementsAre("dishes", "floor", "floor", "dishes"));
}

TEST_F(TheDuties, ThatFailedAreDueAgainOverAnotherConnection) {
  fails_with_ = sql::Remedy::bug;
  dishes_due_ = now_;
  duties_.keep_all();
  duties_.connected();
  EXPECT_EQ(duties_.until_next(), 0s);
}

TEST_F(TheDuties, EndTheirRoundWithTheConnection) {
  fails_with_ = sql::Remedy::reconnect;
  EXPECT_THROW(duties_.keep_all(), sql::DatabaseError);
  EXPECT_THAT(done_, ElementsAre("dishes"));
  EXPECT_THAT(faults_, testing::IsEmpty());
}

}  // namespace
}  // namespace postpone::subworker

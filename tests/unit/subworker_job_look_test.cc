#include "subworker/task/job_look.h"

#include <gtest/gtest.h>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

TEST(SlowSchedule, ComesOnceAndThenEachTimeTwiceAsLate) {
  SlowSchedule schedule(10s);
  EXPECT_FALSE(schedule.is_due(9s));
  EXPECT_TRUE(schedule.is_due(10s));
  EXPECT_FALSE(schedule.is_due(10s));
  EXPECT_FALSE(schedule.is_due(19s));
  EXPECT_TRUE(schedule.is_due(21s));
  EXPECT_FALSE(schedule.is_due(39s));
  EXPECT_TRUE(schedule.is_due(40s));
}

TEST(SlowSchedule, WhatWasSleptThroughDoesNotComeAgain) {
  SlowSchedule schedule(1s);
  EXPECT_TRUE(schedule.is_due(100s));
  EXPECT_FALSE(schedule.is_due(101s));
  EXPECT_FALSE(schedule.is_due(127s));
  EXPECT_TRUE(schedule.is_due(128s));
}

TEST(SlowSchedule, NeverIsNever) {
  SlowSchedule schedule(0s);
  EXPECT_FALSE(schedule.is_due(0s));
  EXPECT_FALSE(schedule.is_due(24h));
}

// --- whose frames ---

const std::string kExecute = "libtask::detail::execute(libtask::detail::Task const&)+0x10 (tasks+0x1)";

TEST(StackOfTheHandler, EndsWhereLibtaskBegins) {
  EXPECT_EQ(
      of_the_handler(
          {"read+0x1 (libc.so.6+0x1)", "wash(int)+0x2 (tasks+0x2)",
           "void std::__invoke_impl<void, void (*&)(int)>(std::__invoke_other)+0x3 (tasks+0x3)",
           "std::_Function_handler<void (libtask::Context&), void (*)(libtask::Context&)>::_M_invoke("
           "std::_Any_data const&)+0x4 (tasks+0x4)",
           "std::function<void (libtask::Context&)>::operator()(libtask::Context&) const+0x5 (tasks+0x5)",
           kExecute, "main+0x6 (tasks+0x6)"}),
      (std::vector<std::string>{"read+0x1 (libc.so.6+0x1)", "wash(int)+0x2 (tasks+0x2)"}));
}

TEST(StackOfTheHandler, ALambdaThatAnOptimiserPutIntoItsWrapperStays) {
  const std::string wrapper =
      "std::_Function_handler<void (libtask::Context&), "
      "main::{lambda(libtask::Context&)#1}>::_M_invoke(std::_Any_data "
      "const&)+0x4 (tasks+0x4)";
  EXPECT_EQ(of_the_handler({"clock_nanosleep+0x1 (libc.so.6+0x1)", wrapper, kExecute}),
            (std::vector<std::string>{"clock_nanosleep+0x1 (libc.so.6+0x1)", wrapper}));
  const std::string lambda =
      "main::{lambda(libtask::Context&)#1}::operator()(libtask::Context&) const+0x2 (tasks+0x2)";
  EXPECT_EQ(of_the_handler({lambda, wrapper, kExecute}), (std::vector<std::string>{lambda}));
}

TEST(StackOfTheHandler, AFunctionThatTakesAFunctionIsTheProgramsOwn) {
  const std::string own = "retry(std::function<void ()> const&)+0x2 (tasks+0x2)";
  EXPECT_EQ(of_the_handler({own, kExecute}), (std::vector<std::string>{own}));
  const std::string two = "(anonymous namespace)::each(std::__invoke_other)+0x2 (tasks+0x2)";
  EXPECT_EQ(of_the_handler({own, two, kExecute}), (std::vector<std::string>{own, two}));
}

TEST(StackOfTheHandler, OfAStrippedProgramAllStays) {
  EXPECT_EQ(of_the_handler({"a", "b"}), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace postpone::subworker

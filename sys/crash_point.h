// The places where a process of the family may die with the most to lose, each with a name. Programs as they
// are installed do nothing there. The test programs link another body of this function
// (tests/faults/crash_point.cc), which kills; tests/faults/crash_point_test.cc is a table over all of them.
//
// A link-time seam and not a macro: one compilation of every room serves both programs, so what is tested is
// what runs. It costs a call of an empty function a few times a job.
#pragma once

namespace postpone::sys {

// "<process>.<what has just happened>". A change that adds a name adds a row to the table of the test.
void crash_point(const char* name) noexcept;

}  // namespace postpone::sys

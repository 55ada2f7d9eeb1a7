// Task executables in two languages: with libtask in C++, and in Python with the library of examples/python, which was
// written from docs/protocol.md alone. A suite with this parameter holds the second to all that is asked of the
// first.
//
//   class Channel : public testing::TestWithParam<Language> {};
//   INSTANTIATE_TEST_SUITE_P(, Channel, testing::ValuesIn(kLanguages));
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <string>

namespace postpone::tests {

enum class Language { cpp, python };
inline constexpr std::array kLanguages = {Language::cpp, Language::python};

// ctest puts it at the end of the name of a case.
inline void PrintTo(Language language, std::ostream* out) {
  *out << (language == Language::cpp ? "Cpp" : "Python");
}

// libtask/examples/misbehave.cc, or its twin.
inline std::string misbehave_in(Language language) {
  return language == Language::cpp ? POSTPONE_EXAMPLES_DIR "/misbehave"
                                   : POSTPONE_SOURCE_DIR "/tests/support/misbehave.py";
}

// test_tasks.cc, or its twin.
#ifdef POSTPONE_TEST_TASKS
inline std::string test_tasks_in(Language language) {
  return language == Language::cpp ? POSTPONE_TEST_TASKS : POSTPONE_SOURCE_DIR "/tests/support/test_tasks.py";
}
#endif

// How the kernel names a process of such an executable: of a script by its interpreter first.
inline std::string process_title(const std::string& executable) {
  return executable.ends_with(".py") ? "/usr/bin/python3 -B " + executable : executable;
}

}  // namespace postpone::tests

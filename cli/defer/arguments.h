// Checks the arguments of a job before they are sent to the database.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postpone::cli {

// How deep objects and arrays may be nested: as deep as libtask reads them. (The reader of libtask, in
// libtask/src/json_text.cc, is not used here: it names no line and column, and takes numbers that no task can
// read.)
inline constexpr std::size_t kDeepest = 500;

struct TextProblem {
  std::size_t byte = 1;  // counted from 1
  std::string message;
};
// Why the text is no JSON object, or none that the database can store and a task can read. Nothing when it is
// one. Pure.
std::optional<TextProblem> problem_with_object(std::string_view text, std::size_t deepest = kDeepest);

// The same in words, with line and column; empty when nothing is wrong. Pure.
std::string problem_with_arguments(const std::string& text);

// The text without a byte order mark (U+FEFF) at its beginning, where some editors put one into every file.
std::string_view without_mark(std::string_view text);

}  // namespace postpone::cli

// The arguments of a job, as a person types them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postpone::cli {

// How many objects and arrays may stand in each other: as many as libtask reads (libtask/src/json_text.cc,
// whose reader is not used here: it names no line and column, and takes numbers that no task can read).
inline constexpr std::size_t kDeepest = 500;

// What is wrong with a text that is to be a JSON object which the database can store and a task can read, and
// at which byte, from 1. Nothing when it is one. Pure.
struct TextProblem {
  std::size_t byte = 1;
  std::string message;
};
std::optional<TextProblem> problem_with_object(std::string_view text, std::size_t deepest = kDeepest);

// The same in words, with line and column; empty when nothing is wrong. Pure.
std::string problem_with_arguments(const std::string& text);

}  // namespace postpone::cli

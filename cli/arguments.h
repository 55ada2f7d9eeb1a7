// The arguments of a job, as a person types them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postpone::cli {

// What is wrong with a text that is to be a JSON object, with line and column; empty when it is one. Pure.
std::string problem_with_arguments(const std::string& text);

// The same, with the place apart: what is wrong, and at which byte, from 1. Nothing when it is an object.
struct TextProblem {
  std::size_t byte = 1;
  std::string message;
};
std::optional<TextProblem> problem_with_object(std::string_view text);

}  // namespace postpone::cli

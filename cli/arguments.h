// The arguments of a job, as a person types them.
#pragma once

#include <string>

namespace postpone::cli {

// What is wrong with a text that is to be a JSON object, with line and column; empty when it is one. Pure.
std::string problem_with_arguments(const std::string& text);

}  // namespace postpone::cli

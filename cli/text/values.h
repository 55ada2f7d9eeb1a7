// What options and arguments may be, beyond their type: each of these is given to the option it constrains. A
// text that is none is an error of the command line, before anything is done.
#pragma once

#include <cstdint>
#include <limits>

namespace CLI {
class Option;
}

namespace postpone::cli {

// A whole number, in decimal digits. REQUIRES: the option's variable holds these limits. What is stored is
// the number that a person reads there: CLI11 alone takes 010 for 8, and what is too large for the largest
// there is.
void whole_number(CLI::Option* option, std::int64_t lowest = std::numeric_limits<int>::min(),
                  std::int64_t highest = std::numeric_limits<int>::max());

// What --limit may say.
inline constexpr std::int64_t kMostListed = 1'000'000;

// The id of a job, or several.
void job_id(CLI::Option* option);

// Digits with a decimal point, or without.
void decimal(CLI::Option* option, double lowest, double highest);

// Text that is not empty, which would not be the same as no option at all (`--queue "$UNSET"`), and that is
// UTF-8.
void nonempty(CLI::Option* option);

}  // namespace postpone::cli

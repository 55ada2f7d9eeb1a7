// Checks for the values of options and arguments. Each function adds its check to an option; a value that
// does not pass is an error of the command line, before anything is done.
#pragma once

#include <cstdint>
#include <limits>

namespace postpone::cli {

class Option;

// A whole number, in decimal digits. REQUIRES: the option's variable can hold both limits. The option stores
// the number that a person reads there; CLI11 alone takes 010 for 8, and any number that is too large for the
// largest one that fits.
void whole_number(Option* option, std::int64_t lowest = std::numeric_limits<int>::min(),
                  std::int64_t highest = std::numeric_limits<int>::max());

// The largest value of --limit.
inline constexpr std::int64_t kMostListed = 1'000'000;

// The id of a job, or several.
void job_id(Option* option);

// Digits with a decimal point, or without.
void decimal(Option* option, double lowest, double highest);

// Text in UTF-8 that is not empty. An empty text is refused because it is most often a variable that is not
// set (`--queue "$UNSET"`), which does not mean the same as leaving the option out.
void nonempty(Option* option);

}  // namespace postpone::cli

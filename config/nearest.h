// "Did you mean …?"
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace postpone::config {

// The candidate that a person who typed `word` most likely meant: the one with the fewest edits (a letter
// left out, added, replaced, or swapped with its neighbour), the first of several. Nothing when even that one
// differs in more than a third of the word, because a wrong guess is worse than none.
std::optional<std::string_view> nearest(std::string_view word,
                                        const std::vector<std::string_view>& candidates);

}  // namespace postpone::config

// As much of JSON as a library without a JSON library needs: whether a text is a JSON object, and what its
// keys are. Writing is in libtask/args.h (ToJson).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace libtask::detail {

// The keys of a JSON object, in the order and spelling (escapes included) of the text. Throws
// std::invalid_argument, "not JSON at byte N: expected …", when the text is anything but one JSON object. How
// deep it is nested, and how large its numbers are, is not for us to judge.
std::vector<std::string_view> object_keys(std::string_view text);

// How deep a JSON text is nested: 1 = an object of plain values. REQUIRES: object_keys() reads it.
int depth_of(std::string_view text);

}  // namespace libtask::detail

// Which keys a running supervisor keeps, whatever a new file says of them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postpone::config {

using SectionAndKey = std::pair<std::string_view, std::string_view>;  // "database", "url"

// The text of the configuration `next` with the values that these keys have in `now`; a key that does not
// stand in `now` stands in neither. Comments and layout are lost: it is for programs. REQUIRES: both are
// texts that parse() takes.
std::string keep_keys(std::string_view next, std::string_view now, const std::vector<SectionAndKey>& keys);

}  // namespace postpone::config

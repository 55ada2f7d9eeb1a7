// The exception that is being handled, in words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace libtask::detail {

struct Thrown {
  std::string type;     // demangled
  std::string message;  // what(), then "; caused by: <type>: <what()>" for each nested exception
};

// The first so many bytes of a text, or a few less: cut between characters of UTF-8.
std::string_view begin_of(std::string_view text, std::size_t bytes);

// At most 8 KiB of a message, so that a huge one neither fills a frame nor a table.
std::string shortened(std::string message);

// REQUIRES: called within a catch block. Exceptions that are texts (thrown by people in a hurry) are their
// own message.
Thrown describe_current_exception();

}  // namespace libtask::detail

// The exception that is being handled, in words.
#pragma once

#include <string>

namespace libtask::detail {

struct Thrown {
  std::string type;     // demangled
  std::string message;  // what(), then "; caused by: <type>: <what()>" for each nested exception
};

// REQUIRES: called within a catch block. Exceptions that are texts (thrown by people in a hurry) are their
// own message.
Thrown describe_current_exception();

}  // namespace libtask::detail

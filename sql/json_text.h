// JSON text as PostgreSQL takes it into a jsonb, which refuses some of what is correct JSON. One such text
// spoils the whole statement in which it stands, so it is found here. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace postpone::sql {

// The server reads jsonb by recursion, as deep as its max_stack_depth allows. libtask's Args have the same bound.
inline constexpr int kMaxJsonDepth = 500;

// The byte, counted from 1, at which a text stops being JSON; nothing when it is a JSON value. A byte order mark is
// none, though parsers skip it. REQUIRES: the text is storable().
std::optional<std::size_t> mistake_in_json(const std::string& text);

// What in a JSON value is beyond a jsonb: a number, or how deep it is nested. Empty when nothing. REQUIRES:
// !mistake_in_json().
std::string excess_in_json(const std::string& text);

// The value with U+FFFD for each escaped NUL.
std::string without_escaped_nul(const std::string& text);

// How long it is as the database has it: a space behind each comma and colon, and no others.
std::size_t bytes_of_stored(const std::string& text);

}  // namespace postpone::sql

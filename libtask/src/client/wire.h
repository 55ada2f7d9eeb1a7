// Values as PostgreSQL reads them in its binary format, in parameters and in COPY. It has a NULL whatever the server's
// array_nulls says, and times whatever DateStyle and TimeZone say.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace libtask::detail {

// Of pg_type, the same on every server.
enum class Type : unsigned { int4 = 23, int8 = 20, text = 25, timestamptz = 1184, jsonb = 3802 };

using Bytes = std::optional<std::string>;  // nothing = NULL

Bytes to_bytes(std::int32_t value);
Bytes to_bytes(std::int64_t value);
Bytes to_bytes(std::chrono::system_clock::time_point time);
Bytes to_bytes(std::chrono::sys_time<std::chrono::microseconds> time);
Bytes jsonb_bytes(std::string_view text);
// "" = NULL.
Bytes text_or_null(const std::string& text);

// The number of the type, or of the arrays of it.
unsigned oid_of(Type type, bool is_array);

// An array of these elements.
std::string array_of(Type type, const std::vector<Bytes>& elements);

// COPY … FROM STDIN WITH (FORMAT binary): the header, then rows, then the trailer.
std::string copy_header();
void append_copy_row(std::string& rows, const std::vector<Bytes>& columns);
std::string copy_trailer();

}  // namespace libtask::detail

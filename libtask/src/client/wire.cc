#include "wire.h"

namespace libtask::detail {
namespace {

template <class Unsigned>
void append(std::string& bytes, Unsigned value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8)
    bytes += static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xffU);
}

void append_field(std::string& bytes, const Bytes& field) {
  constexpr std::uint32_t kNull = 0xffffffff;
  append(bytes, field ? static_cast<std::uint32_t>(field->size()) : kNull);
  if (field) bytes += *field;
}

template <class Unsigned>
std::string bytes_of(Unsigned value) {
  std::string bytes;
  append(bytes, value);
  return bytes;
}

unsigned array_oid(Type type) {
  switch (type) {
    case Type::int4:
      return 1007;
    case Type::int8:
      return 1016;
    case Type::text:
      return 1009;
    case Type::timestamptz:
      return 1185;
    case Type::jsonb:
      return 3807;
  }
  return 0;
}

}  // namespace

Bytes to_bytes(std::int32_t value) {
  return bytes_of(static_cast<std::uint32_t>(value));
}

Bytes to_bytes(std::int64_t value) {
  return bytes_of(static_cast<std::uint64_t>(value));
}

// As microseconds since 2000. The ends of the clock stand for the infinities, which it cannot count.
Bytes to_bytes(std::chrono::system_clock::time_point time) {
  using std::chrono::microseconds;
  using std::chrono::system_clock;
  if (time == system_clock::time_point::max()) return to_bytes(INT64_MAX);
  if (time == system_clock::time_point::min()) return to_bytes(INT64_MIN);
  return to_bytes(std::chrono::floor<microseconds>(time));
}

Bytes to_bytes(std::chrono::sys_time<std::chrono::microseconds> time) {
  constexpr std::int64_t kEpoch = 946'684'800'000'000;
  return to_bytes(static_cast<std::int64_t>(time.time_since_epoch().count()) - kEpoch);
}

Bytes jsonb_bytes(std::string_view text) {
  std::string bytes(1, '\x01');  // the version of the format
  return bytes.append(text);
}

Bytes text_or_null(const std::string& text) {
  return text.empty() ? std::nullopt : Bytes(text);
}

unsigned oid_of(Type type, bool is_array) {
  return is_array ? array_oid(type) : static_cast<unsigned>(type);
}

std::string array_of(Type type, const std::vector<Bytes>& elements) {
  std::string bytes;
  append(bytes, std::uint32_t{1});  // dimensions
  append(bytes, std::uint32_t{1});  // there may be a NULL
  append(bytes, static_cast<std::uint32_t>(type));
  append(bytes, static_cast<std::uint32_t>(elements.size()));
  append(bytes, std::uint32_t{1});  // of the first element
  for (const Bytes& element : elements) append_field(bytes, element);
  return bytes;
}

std::string copy_header() {
  std::string bytes("PGCOPY\n\377\r\n\0", 11);
  append(bytes, std::uint32_t{0});  // flags
  append(bytes, std::uint32_t{0});  // length of an extension
  return bytes;
}

void append_copy_row(std::string& rows, const std::vector<Bytes>& columns) {
  append(rows, static_cast<std::uint16_t>(columns.size()));
  for (const Bytes& column : columns) append_field(rows, column);
}

std::string copy_trailer() {
  return bytes_of(std::uint16_t{0xffff});
}

}  // namespace libtask::detail

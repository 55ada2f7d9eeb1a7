#include "sql/result.h"

#include <libpq-fe.h>

#include <charconv>
#include <chrono>
#include <system_error>

#include "sql/error.h"

namespace postpone::sql {
namespace {

using std::chrono::microseconds;

template <class T>
void read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw DatabaseError(Remedy::bug, "the database sent \"" + std::string(text) + "\" for a number");
  }
}

}  // namespace

void ClearResult::operator()(pg_result* result) const noexcept {
  PQclear(result);
}

std::string microseconds_of(std::string_view expression) {
  const std::string e(expression);
  // Counted from 2000, as the server does itself: from 1970 its last years would not fit. As a difference,
  // because extract() rounds the epoch of those years.
  return "case when isfinite(" + e + ") then (extract(epoch from " + e +
         " - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint when " + e +
         " = 'infinity' then 9223372036854775807 when " + e + " = '-infinity' then -9223372036854775807 end";
}

std::string seconds_since(std::string_view expression) {
  const std::string e(expression);
  return "case when isfinite(" + e + ") then extract(epoch from clock_timestamp() - " + e +
         ")::double precision when " + e + " = 'infinity' then '-infinity'::double precision when " + e +
         " = '-infinity' then 'infinity'::double precision end";
}

bool Row::is_null(int column) const {
  return PQgetisnull(result_, row_, column) != 0;
}

std::string_view Row::text(int column) const {
  if (is_null(column)) {
    throw DatabaseError(Remedy::bug, "the database sent NULL in column " + std::to_string(column + 1) +
                                         " (\"" + PQfname(result_, column) + "\")");
  }
  return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

void Row::read(int column, bool& value) const {
  value = text(column) == "t";
}
void Row::read(int column, int& value) const {
  read_number(text(column), value);
}
void Row::read(int column, std::int64_t& value) const {
  read_number(text(column), value);
}
void Row::read(int column, double& value) const {
  read_number(text(column), value);
}
void Row::read(int column, std::string& value) const {
  value = text(column);
}

void Row::read(int column, DatabaseTime& value) const {
  std::int64_t count = 0;
  read_number(text(column), count);
  value = DatabaseTime::from_count(count);
}

void Row::read(int column, SystemTime& value) const {
  std::int64_t count = 0;
  read_number(text(column), count);
  constexpr microseconds kEpoch = std::chrono::seconds(DatabaseTime::kEpoch);
  constexpr auto kLast = std::chrono::duration_cast<microseconds>(SystemTime::duration::max());
  if (count >= (kLast - kEpoch).count()) {
    value = SystemTime::max();
  } else if (count <= (-kLast - kEpoch).count()) {
    value = SystemTime::min();
  } else {
    value = SystemTime(microseconds(count) + kEpoch);
  }
}

int Result::rows() const {
  return PQntuples(handle_.get());
}

Row Result::only() const {
  if (rows() != 1) {
    throw DatabaseError(Remedy::bug,
                        "the database sent " + std::to_string(rows()) + " rows where one was due");
  }
  return row(0);
}

}  // namespace postpone::sql

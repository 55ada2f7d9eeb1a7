// What comes out of a statement: rows, and their values. Internal to sql/; libpq stays in the .cc file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sql/job.h"

struct pg_result;

namespace postpone::sql {

struct ClearResult {
  void operator()(pg_result* result) const noexcept;
};
using ResultHandle = std::unique_ptr<pg_result, ClearResult>;

// One row of a Result, valid as long as that lives. Columns count from 0. get<T>() knows bool, int,
// std::int64_t, double, std::string, DatabaseTime and SystemTime (of a column that microseconds_of() wrote)
// and std::optional of these; a NULL where T is not optional, or text that is no T, is a DatabaseError (bug).
class Row {
 public:
  Row(const pg_result* result, int row) : result_(result), row_(row) {}

  bool is_null(int column) const;
  std::string_view text(int column) const;

  template <class T>
  T get(int column) const {
    if constexpr (is_optional<T>::value) {
      if (is_null(column)) return std::nullopt;
      return get<typename T::value_type>(column);
    } else {
      T value{};
      read(column, value);
      return value;
    }
  }

 private:
  template <class T>
  struct is_optional : std::false_type {};
  template <class T>
  struct is_optional<std::optional<T>> : std::true_type {};

  void read(int column, bool& value) const;
  void read(int column, int& value) const;
  void read(int column, std::int64_t& value) const;
  void read(int column, double& value) const;
  void read(int column, std::string& value) const;
  void read(int column, DatabaseTime& value) const;
  void read(int column, SystemTime& value) const;  // at its end for what lies beyond

  const pg_result* result_;
  int row_;
};

// The SQL that reads a timestamptz expression as get<DatabaseTime>() wants it, whatever moment it is: no row
// may make a statement fail for the time that stands in it.
std::string microseconds_of(std::string_view expression);
// The SQL for how many seconds ago a timestamptz expression was, as a double: negative for the future,
// infinite for the infinities, which PostgreSQL's subtraction would refuse.
std::string seconds_since(std::string_view expression);

class Result {
 public:
  explicit Result(ResultHandle handle) : handle_(std::move(handle)) {}

  int rows() const;
  bool empty() const { return rows() == 0; }
  Row row(int index) const { return Row(handle_.get(), index); }
  Row only() const;  // of a statement that gives one row; DatabaseError (bug) when it did not

  // For `for (Row row : result)`.
  class Iterator {
   public:
    Iterator(const pg_result* result, int row) : result_(result), row_(row) {}
    Row operator*() const { return Row(result_, row_); }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return row_ != other.row_; }

   private:
    const pg_result* result_;
    int row_;
  };
  Iterator begin() const { return {handle_.get(), 0}; }
  Iterator end() const { return {handle_.get(), rows()}; }

 private:
  ResultHandle handle_;
};

// What `read` makes of each row, in their order.
template <class Read>
auto each(const Result& result, Read read) {
  std::vector<decltype(read(result.row(0)))> values;
  values.reserve(static_cast<std::size_t>(result.rows()));
  for (const Row row : result) values.push_back(read(row));
  return values;
}

}  // namespace postpone::sql

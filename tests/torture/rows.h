// SQL for the harness of a torture run: a connection that may be lost at any moment, and is then opened anew
// at the next call.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/torture/history.h"

namespace postpone::torture {

using Row = std::vector<std::string>;  // NULL = ""

// The server is gone, or has refused; the statement may have been carried out all the same.
class SqlFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Database {
 public:
  explicit Database(std::string url);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Rows of the last statement. Throws SqlFailed.
  std::vector<Row> rows(const std::string& sql);
  // The first column of the first row; "" when there is none.
  std::string value(const std::string& sql);

 private:
  struct Connection;
  const std::string url_;
  std::unique_ptr<Connection> connection_;
};

// The tables' half of a history. REQUIRES: the server runs with track_commit_timestamp.
void read_tables(Database& database, History& history);

// 'text', for SQL.
std::string quoted(const std::string& text);

}  // namespace postpone::torture

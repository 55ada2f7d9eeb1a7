// A database of its own for each test, on the server that POSTPONE_TEST_SERVER names.
#pragma once

#include <memory>
#include <mutex>
#include <string>

namespace postpone::tests {

enum class Schema {
  none,     // an empty database
  applied,  // with Postpone's schema
};

// A new, uniquely named database; dropped at the end, with every session in it. Tests that run at the same
// time do not see each other. Throws std::runtime_error when POSTPONE_TEST_SERVER is not set or the server
// refuses.
//
// With Schema::applied it is a clone of a template that the first test on a server builds: 50 ms instead of a
// migration.
class TestDatabase {
 public:
  explicit TestDatabase(Schema schema = Schema::applied);
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;
  ~TestDatabase();

  const std::string& name() const { return name_; }
  // A libpq connection string of a superuser on this database.
  std::string url() const;
  // Runs SQL in it over a connection that is kept for the next call, and returns the first column of the
  // first row of the last statement; empty when there is none or it is NULL. Throws std::runtime_error with
  // the server's message.
  std::string execute(const std::string& sql) const;

 private:
  std::string name_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<void> session_;  // a PGconn; opened when it is needed, and again when it was lost
};

// Runs SQL on the database of that url, as TestDatabase::execute() does.
std::string execute(const std::string& url, const std::string& sql);

// POSTPONE_TEST_SERVER, with another database name.
std::string test_server_url(const std::string& database);

}  // namespace postpone::tests

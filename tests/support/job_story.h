// What a test says of jobs. A fixture says where they are.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/files.h"

namespace postpone::tests {

class JobStory : public testing::Test {
 protected:
  // As TestDatabase::execute().
  virtual std::string sql(const std::string& statement) const = 0;

  // Defers with one SQL call, as an application would, and returns the id. `more`: further arguments of
  // postpone_defer, such as ", lock => 'l'".
  std::string defer(const std::string& task, const std::string& queue, const std::string& args = "{}",
                    const std::string& more = "") const {
    return sql("SELECT postpone_defer(task => '" + task + "', queue => '" + queue + "', args => '" + args +
               "'" + more + ")");
  }
  std::string status(const std::string& id) const {
    return sql("SELECT status FROM procrastinate_jobs WHERE id = " + id);
  }
  bool becomes(const std::string& id, const std::string& wanted) const {
    return eventually([&] { return status(id) == wanted; });
  }
  std::string count(const std::string& status) const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE status = '" + status + "'");
  }
  // The causes of its attempts, one after the other.
  std::string causes(const std::string& id) const {
    return sql("SELECT string_agg(cause::text, ' ' ORDER BY attempt) FROM postpone_attempts WHERE job_id = " +
               id);
  }
  // The arguments of a task that writes or reads the file of this name.
  std::string file_argument(const std::string& name) const {
    return R"({"file": ")" + files_.file(name) + R"("})";
  }

  TemporaryDirectory files_;
};

// On a database of the test's own.
class DatabaseStory : public JobStory {
 protected:
  std::string sql(const std::string& statement) const override { return database_.execute(statement); }

  TestDatabase database_;
};

}  // namespace postpone::tests

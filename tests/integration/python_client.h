// An unmodified client of Procrastinate 3.9, as psycopg sends it: server-side parameters that are declared
// smallint, bigint, jsonb or nothing at all, each statement in a transaction of its own.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {

inline const std::string any_queue = "procrastinate_any_queue_v1";

// An array of procrastinate_job_to_defer_v1 in text form, each job given by its fields.
inline std::string jobs(const std::vector<std::string>& rows) {
  std::string array;
  for (const std::string& fields : rows) {
    array += array.empty() ? "\"(" : ",\"(";
    for (const char c : fields) {
      if (c == '"') array += '\\';
      array += c;
    }
    array += ")\"";
  }
  return "{" + array + "}";
}

// The statements of its client, in the order of a job's life. All take effect in a transaction, as psycopg
// opens one.
class PythonClient : public ::testing::Test {
 protected:
  Values send(const std::string& sql, const std::vector<Param>& params = {}) {
    session.rows("BEGIN");
    try {
      Values values = session.rows(sql, params);
      session.rows("COMMIT");
      return values;
    } catch (const SqlError&) {
      session.rows("ROLLBACK");
      throw;
    }
  }
  std::string one(const std::string& sql, const std::vector<Param>& params = {}) {
    const Values values = send(sql, params);
    return values.size() == 1 ? values[0] : "rows: " + std::to_string(values.size());
  }

  Values defer(const std::string& jobs) {
    return send("SELECT unnest(procrastinate_defer_jobs_v1($1::procrastinate_job_to_defer_v1[])) AS id",
                {untyped(jobs)});
  }
  std::string register_worker() { return one("SELECT * FROM procrastinate_register_worker_v1()"); }
  std::string fetch(const Param& queues, const Param& worker) {
    return one(
        "SELECT id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, "
        "attempts, "
        "worker_id FROM procrastinate_fetch_job_v2($1::varchar[], $2)",
        {queues, worker});
  }
  void finish(const Param& job, const std::string& status, bool delete_job = false) {
    send("SELECT procrastinate_finish_job_v1($1, $2, $3)", {job, untyped(status), boolean(delete_job)});
  }
  std::string cancel(const Param& job, bool abort, bool delete_job) {
    return one("SELECT procrastinate_cancel_job_v1($1, $2, $3) AS id",
               {job, boolean(abort), boolean(delete_job)});
  }
  void retry(const Param& job, const Param& priority = null(), const Param& queue = null(),
             const Param& lock = null()) {
    send("SELECT procrastinate_retry_job_v2($1, $2, $3, $4, $5)",
         {job, {"2024-01-01 00:00:00+00", 1184}, priority, queue, lock});
  }
  std::string job(const std::string& id,
                  const std::string& columns = "status, attempts, abort_requested, worker_id") {
    return one("SELECT " + columns + " FROM procrastinate_jobs WHERE id = " + id);
  }
  Values events(const std::string& id) {
    return send("SELECT type FROM procrastinate_events WHERE job_id = " + id + " ORDER BY id");
  }
  SqlError error_of(const std::string& sql, const std::vector<Param>& params = {}) {
    try {
      send(sql, params);
    } catch (const SqlError& error) {
      return error;
    }
    throw std::runtime_error("no error: " + sql);
  }

  const TestDatabase database;
  Session session{database};
};

}  // namespace postpone::tests

// What the tests of fetch and finish share. All is SQL, on real sessions.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/integration/session.h"
#include "tests/support/database.h"

namespace postpone::tests {

inline constexpr const char* kAnyQueue = "procrastinate_any_queue_v1";

// An application and two workers, 1 and 2, in sessions of their own.
class Queue : public ::testing::Test {
 protected:
  Queue() {
    for (int worker = 1; worker <= 2; ++worker) {
      app.rows("SELECT postpone_register_worker('host:1', 'host', 'kitchen/' || $1, 4711)",
               {untyped(std::to_string(worker))});
    }
  }

  // Arguments of postpone_defer after the task, in SQL.
  std::string defer(const std::string& arguments = "") {
    return app.value("SELECT postpone_defer('wash'" + (arguments.empty() ? "" : ", " + arguments) + ")");
  }
  static std::string fetch_sql(int worker, int max_jobs = 1, const std::string& queues = "NULL") {
    return "SELECT id FROM postpone_fetch_jobs(" + queues + ", " + std::to_string(worker) + ", " +
           std::to_string(max_jobs) + ")";
  }
  Values fetch(int worker = 1, int max_jobs = 1, const std::string& queues = "NULL") {
    return app.rows(fetch_sql(worker, max_jobs, queues));
  }
  static std::string finish_sql(int worker, const std::string& outcomes) {
    return "SELECT job_id, disposition, by_job_id, status FROM postpone_finish_jobs(" +
           std::to_string(worker) + ", '[" + outcomes + "]')";
  }
  Values finish(const std::string& outcomes, int worker = 1) {
    return app.rows(finish_sql(worker, outcomes));
  }
  static std::string outcome(int job, const std::string& action, const std::string& more = "",
                             int attempt = 1) {
    return "{\"job_id\": " + std::to_string(job) + ", \"attempt\": " + std::to_string(attempt) +
           ", \"action\": \"" + action + "\"" + (more.empty() ? "" : ", " + more) + "}";
  }
  Values rescue(int worker, const std::string& outcomes, const std::string& action,
                const std::string& running = "NULL") {
    return app.rows("SELECT job_id, disposition, by_job_id, status FROM postpone_rescue_worker(" +
                    std::to_string(worker) + ", '[" + outcomes + "]', '" + action +
                    "', 3, 'kitchen/1: signal 9', " + running + ")");
  }
  std::string job(int id, const std::string& columns = "status, attempts, worker_id") {
    return app.value("SELECT " + columns + " FROM procrastinate_jobs WHERE id = " + std::to_string(id));
  }
  Values events(int id) {
    return app.rows("SELECT type FROM procrastinate_events WHERE job_id = " + std::to_string(id) +
                    " ORDER BY id");
  }
  Values attempts(int id, const std::string& columns = "attempt, cause, message, worker_id, worker_name") {
    return app.rows("SELECT " + columns + " FROM postpone_attempts WHERE job_id = " + std::to_string(id) +
                    " ORDER BY attempt");
  }
  // Payloads on the any-queue channel since the last call.
  Values payloads() {
    Values texts;
    for (const Note& note : app.notes()) {
      if (note.channel == kAnyQueue) texts.push_back(note.payload);
    }
    return texts;
  }

  const TestDatabase database;
  Session app{database};
  Session one{database};
  Session two{database};
};

}  // namespace postpone::tests

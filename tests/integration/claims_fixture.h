// What the tests of claims share. All is SQL, on real sessions.
#pragma once

#include <string>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {

class AClaim : public Queue {
 protected:
  static std::string claim_sql(int worker, int max_jobs, const std::string& more = "") {
    return "SELECT id, is_claimed FROM postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", " +
           std::to_string(max_jobs) + ", may_claim => true" + more + ")";
  }
  Values claim(int worker = 1, int max_jobs = 1, const std::string& more = "") {
    return app.rows(claim_sql(worker, max_jobs, more));
  }
  std::string claimed_by(int worker) {
    return app.value("SELECT postpone_claims_of(" + std::to_string(worker) + ")");
  }
  Values succeed(const std::string& ids, const std::string& attempts, int worker = 1,
                 const std::string& deletes = "false") {
    return app.rows("SELECT job_id, disposition, by_job_id, status FROM postpone_finish_successes(" +
                    std::to_string(worker) + ", '" + ids + "', '" + attempts +
                    "', '{1.5,2,3}', '{0.5,1,1}', '{4096,1,1}', " + deletes + ", false, false)");
  }
  void settle(int worker, const std::string& ids) {
    app.rows("SELECT FROM postpone_settle_claims(" + std::to_string(worker) + ", " + ids + ")");
  }
  static std::string sqlstate_of(Session& session, const std::string& sql) {
    try {
      session.rows(sql);
    } catch (const SqlError& error) {
      return error.sqlstate;
    }
    return "";
  }
  // What asks a worker of ours to stop this job.
  Values stop_requests() {
    Values all;
    for (const std::string& payload : payloads())
      if (payload.find("abort_job_requested") != std::string::npos) all.push_back(payload);
    return all;
  }
};

}  // namespace postpone::tests

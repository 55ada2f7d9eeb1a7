// A job manager and what it is asked for, on a database of the test's own.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sql/bulk_changes.h"
#include "sql/job_manager.h"
#include "tests/support/database.h"
#include "tests/support/database_error.h"

namespace postpone::sql {

inline ConnectOptions options_for(const tests::TestDatabase& database) {
  ConnectOptions options;
  options.url = database.url();
  options.application_name = "job manager test";
  return options;
}

using tests::error_of;

inline DeferRequest request_of(const std::string& task) {
  DeferRequest request;
  request.task = task;
  return request;
}

inline DeferRequest with_lock(const std::string& lock) {
  DeferRequest request = request_of("t");
  request.lock = lock;
  return request;
}

inline DeferRequest with_queueing_lock(const std::string& lock) {
  DeferRequest request = request_of("t");
  request.queueing_lock = lock;
  return request;
}

inline Outcome outcome_of(const Job& job, Action action) {
  Outcome outcome;
  outcome.job_id = job.id;
  outcome.attempt = job.attempts + 1;
  outcome.action = action;
  outcome.cause = action == Action::succeed ? Cause::succeeded : Cause::exception;
  return outcome;
}

inline std::vector<JobId> ids_of(const std::vector<Job>& jobs) {
  std::vector<JobId> ids(jobs.size());
  std::transform(jobs.begin(), jobs.end(), ids.begin(), [](const Job& job) { return job.id; });
  return ids;
}

class AJobManager : public testing::Test {
 protected:
  JobId defer(const DeferRequest& request) { return manager.defer({request}).at(0); }
  Job job(JobId id) { return manager.list({.id = id}).at(0); }

  std::vector<Job> fetch(int max_jobs = 1, std::vector<std::string> queues = {}) {
    return fetch_with_more(max_jobs, std::move(queues)).jobs;
  }
  Fetched fetch_with_more(int max_jobs, std::vector<std::string> queues = {}) {
    return manager.finish_and_fetch(worker, {}, {std::move(queues), worker, max_jobs}).fetched;
  }
  Job fetch_one() {
    const std::vector<Job> jobs = fetch();
    EXPECT_THAT(jobs, testing::SizeIs(1));
    return jobs.at(0);
  }
  std::vector<Recorded> finish(const std::vector<Outcome>& outcomes) {
    OutcomeTexts texts;
    for (const Outcome& outcome : outcomes) texts.push_back(to_json(outcome));
    return manager.finish_and_fetch(worker, {.outcomes = texts}, {.worker_id = worker, .max_jobs = 0})
        .recorded;
  }
  Recorded finish(const Outcome& outcome) { return finish(std::vector<Outcome>{outcome}).at(0); }
  JobId deferred_and_failed(const DeferRequest& request) {
    const JobId id = defer(request);
    finish(outcome_of(fetch_one(), Action::fail));
    return id;
  }

  const tests::TestDatabase database;
  JobManager manager = JobManager::connect(options_for(database));
  BulkChanges set = BulkChanges::connect(options_for(database));
  const WorkerId worker = manager.register_worker({"s:1:0", "host", "kitchen/1", 4711});
};

}  // namespace postpone::sql

// The harness of <libtask/testing.h> orders jobs as the database does: the same random jobs, worked off by one worker
// in both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libtask/json.h>
#include <libtask/testing.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/fetch_fixture.h"
#include "tests/integration/session.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using libtask::testing::Outcome;
using libtask::testing::Status;
using Json = nlohmann::json;

// What a job does at its first attempt; all later ones succeed.
void act(libtask::Context& job, const std::string& name, const std::string& plan) {
  if (job.attempt() > 1) return;
  if (plan == "again") throw libtask::Retry{0s};
  if (plan == "later") throw libtask::Retry{1h};
  if (plan == "fail") throw std::runtime_error("no");
  if (plan != "defer") return;
  const libtask::Args args{{"name", name + "'"}, {"plan", "succeed"}};
  job.defer("plain", args, {.priority = 2, .lock = "a"});
  job.defer("plain", args, {.queueing_lock = "q"});
  job.defer("plain", args, {.queueing_lock = "q", .delay = 1h});
}

void register_tasks(libtask::App& app) {
  app.task("plain", act, {"name", "plan"});
  app.task("stubborn", act, {"name", "plan"}).retry({.max_attempts = 1, .priority = 3, .lock = "a"});
}

struct RandomJob {
  std::string task;
  libtask::Args args;
  libtask::DeferOptions options;
};

RandomJob random_job(std::mt19937& random, int number) {
  const auto one_of = [&random](const std::vector<const char*>& words) {
    return words[std::uniform_int_distribution<std::size_t>(0, words.size() - 1)(random)];
  };
  RandomJob job{.task = one_of({"plain", "stubborn"}), .args = {}, .options = {}};
  job.args = {{"name", "job " + std::to_string(number)},
              {"plan", one_of({"succeed", "again", "later", "fail", "defer"})}};
  job.options.priority = std::uniform_int_distribution<>(-1, 1)(random);
  job.options.lock = one_of({"", "", "a", "b"});
  job.options.queueing_lock = one_of({"", "", "", "q", "r"});
  if (std::uniform_int_distribution<>(0, 9)(random) == 0) job.options.delay = 1h;
  return job;
}

class HarnessLikeTheDatabase : public Queue {
 protected:
  HarnessLikeTheDatabase() { register_tasks(tasks); }

  // Whether it was created: its queueing lock may be taken.
  bool defer_in_database(const RandomJob& job) {
    try {
      app.rows(
          "SELECT postpone_defer($1, $2::jsonb, priority => $3::int, lock => nullif($4, ''), "
          "queueing_lock => nullif($5, ''), scheduled_at => now() + nullif($6, '0')::float * interval '1 "
          "us')",
          {untyped(job.task), untyped(job.args.text()), untyped(std::to_string(*job.options.priority)),
           untyped(*job.options.lock), untyped(*job.options.queueing_lock),
           untyped(std::to_string(job.options.delay.count()))});
      return true;
    } catch (const SqlError& error) {
      EXPECT_EQ(error.constraint, "procrastinate_jobs_queueing_lock_idx_v1") << error.what();
      return false;
    }
  }
  static bool defer_in_harness(libtask::testing::Harness& harness, const RandomJob& job) {
    try {
      harness.defer({job.task, job.args}, job.options);
      return true;
    } catch (const libtask::testing::AlreadyEnqueued&) {
      return false;
    }
  }

  static Json outcome_json(const std::string& id, int attempt, const Outcome& outcome) {
    Json json = {{"job_id", std::stoll(id)}, {"attempt", attempt}, {"defers", Json::array()}};
    json["action"] = outcome.status == Status::succeeded ? "succeed"
                     : outcome.status == Status::failed  ? "fail"
                                                         : "retry";
    if (outcome.retry) {
      json["retry_in"] = std::chrono::duration<double>(outcome.retry->in).count();
      if (outcome.retry->priority) json["new_priority"] = *outcome.retry->priority;
      if (outcome.retry->lock) json["new_lock"] = *outcome.retry->lock;
    }
    for (const libtask::testing::Deferred& job : outcome.defers) {
      json["defers"].push_back({{"task", job.task},
                                {"args", Json::parse(job.args)},
                                {"queue", job.queue},
                                {"priority", job.priority},
                                {"lock", job.lock ? Json(*job.lock) : Json()},
                                {"queueing_lock", job.queueing_lock ? Json(*job.queueing_lock) : Json()},
                                {"delay", std::chrono::duration<double>(job.delay).count()}});
    }
    if (outcome.status != Status::succeeded) json.erase("defers");
    return json;
  }

  // One job after the other, as one sub-worker would. "job 3 (1)" for the first attempt of that.
  Values work_in_database() {
    Values runs;
    while (true) {
      const std::string row = app.value(
          "SELECT id, attempts + 1, task_name, args ->> 'name', args ->> 'plan' FROM "
          "postpone_fetch_jobs(NULL, 1, 1)");
      if (row.empty()) return runs;
      std::istringstream columns(row);
      std::string id, attempt, task, name, plan;
      for (std::string* column : {&id, &attempt, &task, &name, &plan}) std::getline(columns, *column, '|');
      runs.push_back(name + " (" + attempt + ")");
      const Outcome outcome = libtask::testing::run(tasks, task, {{"name", name}, {"plan", plan}},
                                                    {.attempt = std::stoi(attempt)});
      app.rows("SELECT postpone_finish_jobs(1, $1::jsonb)",
               {untyped(Json::array({outcome_json(id, std::stoi(attempt), outcome)}).dump())});
    }
  }
  static Values work_in_harness(libtask::testing::Harness& harness) {
    harness.work();
    Values runs;
    std::map<std::int64_t, int> attempts;
    for (const auto id : harness.runs()) {
      runs.push_back(Json::parse(harness.job(id).args)["name"].get<std::string>() + " (" +
                     std::to_string(++attempts[id]) + ")");
    }
    return runs;
  }

  Values jobs_in_database() {
    return app.rows(
        "SELECT args ->> 'name', status, attempts, priority, coalesce(lock, ''), coalesce(queueing_lock, '') "
        "FROM procrastinate_jobs ORDER BY id");
  }
  static Values jobs_in_harness(const libtask::testing::Harness& harness) {
    Values jobs;
    for (const libtask::testing::Job& job : harness.jobs()) {
      std::ostringstream columns;
      columns << Json::parse(job.args)["name"].get<std::string>() << '|' << job.status << '|' << job.attempts
              << '|' << job.priority << '|' << job.lock.value_or("") << '|' << job.queueing_lock.value_or("");
      jobs.push_back(columns.str());
    }
    return jobs;
  }

  libtask::App tasks;
};

TEST_F(HarnessLikeTheDatabase, RunsTheSameJobsInTheSameOrder) {
  std::size_t runs = 0;
  for (unsigned seed = 1; seed <= 15; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    app.rows("TRUNCATE procrastinate_jobs CASCADE");
    std::mt19937 random(seed);
    libtask::testing::Harness harness(tasks);
    for (int number = 0; number < 25; ++number) {
      const RandomJob job = random_job(random, number);
      EXPECT_EQ(defer_in_database(job), defer_in_harness(harness, job)) << number;
    }
    const Values in_database = work_in_database();
    ASSERT_EQ(work_in_harness(harness), in_database);
    ASSERT_EQ(jobs_in_harness(harness), jobs_in_database());
    runs += in_database.size();
  }
  EXPECT_GT(runs, 200U) << "few jobs could run: the test has lost its point";
}

}  // namespace
}  // namespace postpone::tests

// What the status socket of a real supervisor tells of its jobs, its members and its reloads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "tests/integration/status_story.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/json_schema.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// --- what is told ---

TEST_F(Status, TellsOfTheJobThatRunsAndOfThoseThatRan) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto id = defer("test.until", "t", file_argument("go"), ", lock => 'sink'");
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][2]["job"].is_object(); }));
  const json running = status()["sub_workers"][2];
  EXPECT_EQ(running["state"], "running");
  EXPECT_EQ(running["group"], "t");
  EXPECT_EQ(std::to_string(running["job"]["id"].get<std::int64_t>()), id);
  EXPECT_EQ(running["job"]["task"], "test.until");
  EXPECT_EQ(running["job"]["queue"], "t");
  EXPECT_EQ(running["job"]["lock"], "sink");
  EXPECT_EQ(running["job"]["attempt"], 1);
  EXPECT_THAT(family.processes(kTestTasks), Contains(running["task_process"]["pid"].get<pid_t>()));
  ASSERT_TRUE(
      eventually([&] { return status()["sub_workers"][2]["task_process"]["rss_bytes"].is_number(); }));
  let_go("go");
  defer("misbehave.segfault", "m");
  defer("misbehave.noop", "m");
  ASSERT_TRUE(eventually([&] {
    const json queues = status()["queues"];
    return queues.size() == 2 && queues[0]["succeeded"] == 1 && queues[0]["failed"] == 1 &&
           queues[1]["succeeded"] == 1;
  })) << status().dump(1);
  const json all = status();
  EXPECT_EQ(all["sub_workers"][2]["job"], nullptr);
  EXPECT_EQ(all["sub_workers"][2]["jobs"]["succeeded"], 1);
  const json failure = all["recent_failures"].at(0);
  EXPECT_EQ(all["recent_failures"].size(), 1U);
  EXPECT_EQ(failure["cause"], "signalled");
  EXPECT_EQ(failure["task"], "misbehave.segfault");
  EXPECT_THAT(failure["message"].get<std::string>(), HasSubstr("signal 11"));
  const auto task = [&](const std::string& name) {
    for (const json& total : all["tasks"])
      if (total["name"] == name) return total;
    return json();
  };
  EXPECT_EQ(task("test.until")["succeeded"], 1);
  EXPECT_EQ(task("misbehave.hang")["succeeded"], 0) << "registered, and never run";
  EXPECT_TRUE(task("misbehave.hang")["registered"]);
}

TEST_F(Status, EveryFieldIsInTheSchemaAndInTheDocuments) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("test.until", "t", file_argument("go"), ", lock => 'sink'");
  defer("misbehave.throw", "m", R"({"message": "no"})");
  defer("misbehave.noop", "nobody serves this");
  ASSERT_TRUE(eventually([&] {
    const json all = status();
    return all["sub_workers"][2]["job"].is_object() && all["recent_failures"].size() == 1 &&
           all["waiting"].is_object();
  })) << status().dump(1);
  const json all = status();
  EXPECT_THAT(violations(all, schema()), IsEmpty());
  const std::string document = read_file(POSTPONE_SOURCE_DIR "/docs/status.md");
  std::set<std::string> names;
  const std::function<void(const json&)> collect = [&](const json& value) {
    if (value.is_object())
      for (const auto& [name, element] : value.items()) names.insert(name);
    if (value.is_structured())
      for (const json& element : value) collect(element);
  };
  collect(all);
  for (const std::string& name : names)
    EXPECT_TRUE(std::regex_search(document, std::regex("[`{ ]" + name + "[`,}]")))
        << name << " is not in status.md";
  // And the metrics.
  std::istringstream lines(curl("/metrics").output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("# TYPE ")) continue;
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    EXPECT_TRUE(std::regex_search(document, std::regex("`" + name + "[`{]")))
        << name << " is not in status.md";
  }
  let_go("go");
}

TEST_F(Status, KnowsWhatWaits) {
  defer("test.append", "t", R"({"file": "/dev/null", "text": ""})",
        ", scheduled_at => now() + interval '1 hour'");
  for (int i = 0; i < 3; ++i) defer("any", "nobody");
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(eventually([&] { return status()["waiting"].is_object(); }));
  const json waiting = status()["waiting"];
  EXPECT_EQ(waiting["queues"][0]["name"], "nobody");
  EXPECT_EQ(waiting["queues"][0]["ready"], 3);
  EXPECT_GT(waiting["queues"][0]["oldest_s"], 0.0);
  const auto is_scheduled = [](const json& queue) { return queue["name"] == "t" && queue["scheduled"] == 1; };
  EXPECT_TRUE(std::any_of(waiting["queues"].begin(), waiting["queues"].end(), is_scheduled)) << waiting;
  EXPECT_THAT(curl("/metrics").output, HasSubstr("\npostpone_queue_ready_jobs{queue=\"nobody\"} 3\n"));
}

TEST_F(Status, TotalsDoNotGoBackWhenASubWorkerDies) {
  Family family(database_.url(), "[supervisor]\n" + section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  for (int i = 0; i < 5; ++i) defer("misbehave.noop", "m");
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][0]["jobs"]["succeeded"] == 5; }));
  const pid_t pid = status()["sub_workers"][0]["pid"];
  send_signal(pid, SIGKILL);
  ASSERT_TRUE(eventually([&] {
    const json worker = status()["sub_workers"][0];
    return worker["ready"] == true && worker["pid"] != pid;
  }));
  const json worker = status()["sub_workers"][0];
  EXPECT_EQ(worker["jobs"]["succeeded"], 5);
  EXPECT_EQ(worker["generation"], 2);
  EXPECT_EQ(worker["restarts"], 1);
  EXPECT_EQ(worker["crashes"], 1);
  EXPECT_THAT(worker["last_end"]["cause"].get<std::string>(), StartsWith("signal 9"));
  defer("misbehave.noop", "m");
  EXPECT_TRUE(eventually([&] { return status()["sub_workers"][0]["jobs"]["succeeded"] == 6; }));
  EXPECT_THAT(curl("/metrics").output, HasSubstr("\npostpone_subworker_crashes_total{group=\"m\"} 1\n"));
}

TEST_F(Status, ARescuedJobIsAmongTheFailures) {
  Family family(database_.url(), "[supervisor]\n" + section() + group("t", kTestTasks, 1));
  family.wait_until_ready(1);
  const auto id = defer("test.until", "t", file_argument("go"));
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][0]["job"].is_object(); }));
  send_signal(status()["sub_workers"][0]["pid"].get<pid_t>(), SIGKILL);
  ASSERT_TRUE(eventually([&] { return status()["recent_failures"].size() == 1; }));
  EXPECT_EQ(status()["housekeeper"]["rescued_jobs"], 1);
  const json failure = status()["recent_failures"].at(0);
  EXPECT_EQ(std::to_string(failure["job_id"].get<std::int64_t>()), id);
  EXPECT_EQ(failure["task"], "test.until");
  EXPECT_EQ(failure["queue"], "t");
  EXPECT_EQ(failure["attempt"], 1);
  EXPECT_EQ(failure["cause"], "worker_lost");
  EXPECT_EQ(failure["ending"], "retried");
  EXPECT_THAT(violations(status(), schema()), IsEmpty());
  let_go("go");
}

// --- reload ---

TEST_F(Status, TellsHowTheLastReloadWent) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  EXPECT_TRUE(status()["supervisor"]["last_reload"].is_null());
  family.rewrite(section() + group("n", kMisbehave, 1) + group("t", kTestTasks, 1));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return status()["supervisor"]["last_reload"].is_object(); }));
  json reload = status()["supervisor"]["last_reload"];
  EXPECT_EQ(reload["ok"], true);
  EXPECT_THAT(reload["message"].get<std::string>(), HasSubstr("group m is gone"));
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"].size() == 2; })) << status().dump(1);
  EXPECT_EQ(status()["groups"].size(), 2);
  EXPECT_THAT(violations(status(), schema()), IsEmpty());
  family.rewrite(section() + group("n", kMisbehave, 1) + "coutn = 3\n");
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return status()["supervisor"]["last_reload"]["ok"] == false; }));
  EXPECT_THAT(status()["supervisor"]["last_reload"]["message"].get<std::string>(), HasSubstr("coutn"));
  EXPECT_EQ(status()["groups"].size(), 2) << "a bad file changes nothing";
  EXPECT_THAT(curl("/metrics").output, HasSubstr("\npostpone_config_last_reload_successful 0\n"));
  EXPECT_EQ(family.stop().code, 0);
}

TEST_F(Status, CountsOfAGroupStayWithItWhenItsSlotServesAnother) {
  Family family(database_.url(), section() + group("m", kMisbehave, 2));
  family.wait_until_ready(2);
  const auto ended = [&](const std::string& of, int count) {
    return eventually([&] {
      return curl("/metrics")
                 .output.find("\npostpone_jobs_ended_total{group=\"" + of + "\",ending=\"succeeded\"} " +
                              std::to_string(count) + "\n") != std::string::npos;
    });
  };
  sql("SELECT postpone_defer('misbehave.noop', queue => 'm') FROM generate_series(1, 20)");
  ASSERT_TRUE(ended("m", 20));
  family.rewrite(section() + group("m", kMisbehave, 1) + group("n", kMisbehave, 1));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] {
    const json all = status();
    return all["sub_workers"].size() == 2 &&
           all["sub_workers"][0]["group"] != all["sub_workers"][1]["group"] &&
           all["supervisor"]["state"] == "running";
  })) << status().dump(1);
  EXPECT_TRUE(ended("m", 20)) << curl("/metrics").output;
  EXPECT_TRUE(ended("n", 0)) << curl("/metrics").output;
  defer("misbehave.noop", "n");
  EXPECT_TRUE(ended("n", 1));
  EXPECT_EQ(family.stop().code, 0);
}

// --- Prometheus ---

TEST_F(Status, ASubWorkerThatServesNoMoreHasNoTaskProcess) {
  Family family(database_.url(), section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][0]["task_process"].is_object(); }));
  send_signal(status()["sub_workers"][0]["task_process"]["pid"].get<pid_t>(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return status()["sub_workers"][0]["task_process"].is_null(); }));
}

// --- the file ---

// Starts, lets its task executable be a script that a test changes, and then replaces the housekeeper.
TEST_F(Status, SchedulesThatCannotBeAskedForAreToldAndTickWhenTheyCan) {
  const std::string tasks = files_.file("tasks");
  std::ofstream(tasks) << "#!/bin/sh\n[ \"$1\" = --describe ] && [ -e " + files_.file("killed") +
                              " ] && kill -9 $$\n[ \"$1\" = --describe ] && [ -e " + files_.file("wrong") +
                              " ] && exit 1\nexec " + kTestTasks + " \"$@\"\n";
  ASSERT_EQ(::chmod(tasks.c_str(), 0755), 0);
  Family family(database_.url(), section() + group("t", tasks, 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(becomes("running"));
  const auto ticks = [&] { return sql("SELECT max(defer_timestamp) FROM procrastinate_periodic_defers"); };
  const auto reasons = [&] { return status()["supervisor"]["reasons"].dump(); };
  const auto replace_housekeeper = [&] {
    const auto old = family.processes("postpone: housekeeper").at(0);
    send_signal(old, SIGKILL);
    return eventually([&] {
      const auto now = family.processes("postpone: housekeeper");
      return now.size() == 1 && now[0] != old;
    });
  };
  let_go("killed");
  ASSERT_TRUE(replace_housekeeper());
  ASSERT_TRUE(becomes("degraded")) << family.log();
  EXPECT_THAT(reasons(), HasSubstr("periodic tasks are not deferred: group t: task executable"));
  EXPECT_THAT(violations(status(), schema()), IsEmpty());
  ::unlink(files_.file("killed").c_str());
  ASSERT_TRUE(becomes("running")) << family.log();
  const auto before = ticks();
  EXPECT_TRUE(eventually([&] { return ticks() != before; })) << family.log();
  EXPECT_THAT(family.log(), HasSubstr("all periodic tasks are deferred again"));
  // Nor is a wrong answer forgotten.
  let_go("wrong");
  ASSERT_TRUE(replace_housekeeper());
  ASSERT_TRUE(becomes("degraded")) << family.log();
  EXPECT_THAT(reasons(), HasSubstr("ended with exit status 1"));
}

TEST_F(Status, AReloadIsNoReconnect) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto housekeeper = family.processes("postpone: housekeeper");
  family.rewrite(config("polling_interval = \"4s\"\n"));
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return status()["supervisor"]["last_reload"].is_object(); }));
  ASSERT_TRUE(eventually([&] { return family.processes("postpone: housekeeper") != housekeeper; }));
  ASSERT_TRUE(eventually([&] { return status()["database"]["state"] == "up"; }));
  EXPECT_EQ(status()["database"]["reconnects"], 0);
  // One that died does not count for one either; one that has lost its connection does.
  sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
      "application_name = 'postpone housekeeper'");
  EXPECT_TRUE(eventually([&] { return status()["database"]["reconnects"] == 1; })) << status().dump(1);
}

}  // namespace
}  // namespace postpone::tests

// The status socket of a real supervisor, asked by curl as an operator would, and by clients that mean no
// good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "sys/fd.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"
#include "tests/support/json_schema.h"
#include "tests/support/private_server.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

// A bare connection to the socket.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      sys::throw_errno("connect " + path);
  }
  // False when the other side does not take it any more.
  bool send(const std::string& text) const {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // All that comes until the other side closes, or until `wanted` is among it.
  std::string read(const std::string& wanted = "") {
    char bytes[4096];
    while (wanted.empty() || got_.find(wanted) == std::string::npos) {
      pollfd fd{fd_.get(), POLLIN, 0};
      if (::poll(&fd, 1, 40'000) <= 0) return got_ + "[nothing more came]";
      const ssize_t n = ::read(fd_.get(), bytes, sizeof bytes);
      if (n <= 0) return got_;
      got_.append(bytes, static_cast<std::size_t>(n));
    }
    return got_;
  }

  // Whether the other side has closed.
  bool is_hung_up() const {
    pollfd fd{fd_.get(), 0, 0};
    return ::poll(&fd, 1, 0) == 1 && (fd.revents & POLLHUP) != 0;
  }

 private:
  sys::Fd fd_;
  std::string got_;
};

class Status : public DatabaseStory {
 protected:
  std::string path() const { return files_.file("status.sock"); }
  std::string section(const std::string& more = "") const {
    return "[status]\nsocket = \"" + path() + "\"\n" + more;
  }
  std::string config(const std::string& supervisor = "") const {
    return "[supervisor]\n" + supervisor + section() + group("m", kMisbehave, 2) + group("t", kTestTasks, 1);
  }
  ProgramRun curl(const std::string& page, std::vector<std::string> options = {}) const {
    std::vector<std::string> command{"curl", "--silent",      "--show-error", "--max-time",
                                     "40",   "--unix-socket", path()};
    command.insert(command.end(), options.begin(), options.end());
    command.push_back("http://localhost" + page);
    return run_program(command);
  }
  json status() const {
    const auto run = curl("/status");
    if (run.exit_status != 0) throw std::runtime_error("curl: " + run.errors);
    return json::parse(run.output);
  }
  // The status code and the body, "503 not ready: …".
  std::string answer(const std::string& page, std::vector<std::string> options = {}) const {
    options.insert(options.end(), {"--write-out", "%{http_code}", "--output", files_.file("body")});
    const auto run = curl(page, std::move(options));
    return run.output + " " + read_file(files_.file("body"));
  }
  bool becomes(const std::string& state) const {
    return eventually([&] { return status()["supervisor"]["state"] == state; });
  }
  void let_go(const std::string& name) const { std::ofstream(files_.file(name)) << "go"; }
};

json schema() {
  return json::parse(read_file(POSTPONE_SOURCE_DIR "/docs/status.schema.json"));
}

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
  ::kill(pid, SIGKILL);
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
  ::kill(status()["sub_workers"][0]["pid"].get<pid_t>(), SIGKILL);
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

// Every name that begins so in a text, without what a histogram's samples add.
std::set<std::string> metrics_in(const std::string& text) {
  static const std::regex name("(postpone|process)_[a-z_]+");
  std::set<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
    names.insert(std::regex_replace(at->str(), std::regex("_bucket$"), ""));
  return names;
}

TEST_F(Status, PromtoolHasNothingToSay) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("misbehave.segfault", "m");
  defer("any", "a \"queue\" \\ with\nall");
  ASSERT_TRUE(eventually([&] {
    const json all = status();
    return all["recent_failures"].size() == 1 && all["waiting"].is_object();
  }));
  const auto check = run_program({"promtool", "check", "metrics"}, {.input = curl("/metrics").output});
  EXPECT_EQ(check.exit_status, 0) << check.errors;
  EXPECT_EQ(check.output + check.errors, "");
}

TEST_F(Status, AlertRulesAndDashboardUseMetricsThatExist) {
  const std::string rules = POSTPONE_SOURCE_DIR "/packaging/prometheus-rules.yml";
  const auto check = run_program({"promtool", "check", "rules", rules});
  EXPECT_EQ(check.exit_status, 0) << check.output << check.errors;
  const std::string operations = read_file(POSTPONE_SOURCE_DIR "/docs/operations.md");
  const std::string text = read_file(rules);
  const std::regex alert("- alert: ([A-Za-z]+)");
  for (std::sregex_iterator at(text.begin(), text.end(), alert), end; at != end; ++at)
    EXPECT_THAT(operations, HasSubstr("**`" + at->str(1) + "`**:")) << "what it means, and what to do";
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("misbehave.noop", "m");
  family.signal(SIGHUP);
  ASSERT_TRUE(eventually(
      [&] { return status()["waiting"].is_object() && status()["supervisor"]["last_reload"].is_object(); }));
  std::set<std::string> existing;
  std::istringstream lines(curl("/metrics").output);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# TYPE ")) existing.insert(line.substr(7, line.find(' ', 7) - 7));
  const json dashboard = json::parse(read_file(POSTPONE_SOURCE_DIR "/packaging/grafana-dashboard.json"));
  std::string queries = read_file(rules);
  for (const json& panel : dashboard["panels"])
    for (const json& target : panel["targets"]) queries += target["expr"].get<std::string>() + "\n";
  for (const std::string& name : metrics_in(queries)) EXPECT_TRUE(existing.contains(name)) << name;
}

TEST_F(Status, ASubWorkerThatServesNoMoreHasNoTaskProcess) {
  Family family(database_.url(), section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][0]["task_process"].is_object(); }));
  ::kill(status()["sub_workers"][0]["task_process"]["pid"].get<pid_t>(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return status()["sub_workers"][0]["task_process"].is_null(); }));
}

// --- the small pages ---

TEST_F(Status, SaysWhetherItIsReadyAndWhyNot) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  EXPECT_EQ(answer("/readyz"), "200 ready\n");
  family.signal(SIGTSTP);
  ASSERT_TRUE(becomes("paused"));
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: paused"));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  family.signal(SIGCONT);
  ASSERT_TRUE(becomes("running"));
  EXPECT_EQ(answer("/readyz"), "200 ready\n");
}

TEST_F(Status, AnswersHeadAndRefusesTheRest) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const std::string head = curl("/status", {"--head"}).output;
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(std::regex_search(head, std::regex("Content-Length: [1-9][0-9]{2,}\r\n"))) << head;
  EXPECT_THAT(curl("/events", {"--head"}).output, StartsWith("HTTP/1.1 200 OK\r\n"));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"})
    EXPECT_EQ(answer("/status", {"--request", method}),
              "405 nothing can be changed here: GET and HEAD only\n");
  EXPECT_THAT(curl("/status", {"--request", "DELETE", "--include"}).output,
              HasSubstr("\r\nAllow: GET, HEAD\r\n"));
  EXPECT_THAT(answer("/"), StartsWith("404 there are /status,"));
  EXPECT_THAT(answer("/status", {"--data", "x=1"}), StartsWith("413 "));
  EXPECT_THAT(answer("/status", {"--http1.0"}), StartsWith("200 {"));
}

TEST_F(Status, OneConnectionServesManyRequests) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto run =
      run_program({"curl", "--silent", "--verbose", "--unix-socket", path(), "http://localhost/healthz",
                   "http://localhost/readyz", "http://localhost/nothing", "http://localhost/healthz"});
  EXPECT_EQ(run.exit_status, 0) << run.errors;
  EXPECT_THAT(run.errors, HasSubstr("Re-using existing connection"));
  EXPECT_TRUE(run.output.ends_with("ok\n")) << run.output;
}

// --- bad days ---

TEST_F(Status, AnswersWhileTheDatabaseIsAway) {
  PrivateServer server;
  run_program({POSTPONE_CLI, "--database-url", server.url(), "schema", "apply"});
  Family family(server.url(),
                config("heartbeat_interval = \"1s\"\nfence_after = \"3s\"\nstalled_after = \"6s\"\n"));
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  server.stop("immediate");
  ASSERT_TRUE(eventually([&] { return status()["database"]["state"] == "down"; })) << family.log();
  const json down = status();
  EXPECT_EQ(down["supervisor"]["state"], "degraded");
  EXPECT_FALSE(down["supervisor"]["ready"]);
  EXPECT_THAT(down["supervisor"]["reasons"].dump(), HasSubstr("the database cannot be reached"));
  EXPECT_TRUE(down["database"]["last_error"].is_object());
  EXPECT_THAT(violations(down, schema()), IsEmpty());
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: the database cannot be reached"));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  server.start();
  ASSERT_TRUE(becomes("running")) << status().dump(1);
  EXPECT_GE(status()["database"]["reconnects"], 1);
}

TEST_F(Status, AnswersBeforeTheDatabaseWasEverReached) {
  Family family("host=/nowhere dbname=none", config());
  ASSERT_TRUE(eventually([&] { return curl("/healthz").exit_status == 0; }));
  const json all = status();
  EXPECT_EQ(all["supervisor"]["state"], "starting");
  EXPECT_THAT(violations(all, schema()), IsEmpty());
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: schema and task executables are checked"));
  ASSERT_TRUE(eventually([&] { return status()["database"]["last_error"].is_object(); }));
  EXPECT_EQ(status()["database"]["state"], "down");
  EXPECT_THAT(status()["database"]["last_error"]["message"].get<std::string>(), HasSubstr("/nowhere"));
  EXPECT_THAT(answer("/readyz"), HasSubstr("/nowhere"));
  EXPECT_THAT(violations(status(), schema()), IsEmpty());
}

TEST_F(Status, AnswersWhileASubWorkerIsStoppedAndWhileDraining) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("test.until", "t", file_argument("go"));
  ASSERT_TRUE(eventually([&] { return status()["sub_workers"][2]["job"].is_object(); }));
  const pid_t stopped = status()["sub_workers"][0]["pid"];
  ::kill(stopped, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return status()["sub_workers"][0]["heartbeat_age_s"] > 1.5; }));
  ::kill(stopped, SIGCONT);
  family.signal(SIGTERM);
  ASSERT_TRUE(becomes("draining"));
  EXPECT_THAT(answer("/readyz"), StartsWith("503 not ready: draining"));
  EXPECT_EQ(status()["sub_workers"][2]["state"], "running");
  let_go("go");
  EXPECT_EQ(family.wait().code, 0);
  EXPECT_NE(::access(path().c_str(), F_OK), 0) << "the socket goes with the supervisor";
}

// --- clients that mean no good ---

TEST_F(Status, TwoHundredWhoNeverSayAWordKeepNobodyOut) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  std::vector<Client> silent;
  for (int i = 0; i < 200; ++i) silent.emplace_back(path());
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
  EXPECT_EQ(status()["schema_version"], 1);
  defer("misbehave.noop", "m");
  EXPECT_TRUE(eventually([&] { return status()["queues"].size() == 1; }));
  EXPECT_EQ(silent.front().read(), "") << "dropped for those who came later";
}

TEST_F(Status, GarbageIsAnsweredWithAStatusCode) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto say = [&](const std::string& text) {
    Client client(path());
    client.send(text);
    const std::string answer = client.read();
    return answer.substr(0, answer.find('\r'));
  };
  EXPECT_EQ(say("hello?\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(say(std::string("\0\1\2\3\xff\xfe\r\n\r\n", 10)), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(say("GET /status HTTP/9.9\r\n\r\n"), "HTTP/1.1 505 HTTP Version Not Supported");
  EXPECT_EQ(say("GET /status HTTP/1.1\r\nno colon here\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(say("GET /status HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
            "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(say("POST /status HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            "HTTP/1.1 413 Payload Too Large");
  EXPECT_EQ(say("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
}

TEST_F(Status, AnEndlessHeaderComesToAnEnd) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client client(path());
  client.send("GET /status HTTP/1.1\r\n");
  int lines = 0;
  while (lines < 100'000 && client.send("X-Endless-" + std::to_string(lines) + ": and on it goes\r\n"))
    ++lines;
  EXPECT_LT(lines, 100'000);
  EXPECT_THAT(client.read(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(Status, ARequestThatDoesNotEndIsTimedOut) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client silent(path());
  Client slow(path());
  slow.send("GET /status HT");
  EXPECT_THAT(slow.read(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_EQ(silent.read(), "");
}

// --- events ---

TEST_F(Status, EventsTellWhatHappens) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client follower(path());
  follower.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(follower.read("event: state_changed"), HasSubstr("Content-Type: text/event-stream\r\n"));
  const auto id = defer("misbehave.noop", "m");
  EXPECT_THAT(follower.read("event: job_started\ndata: "), HasSubstr("event: job_started\n"));
  EXPECT_THAT(follower.read("event: job_finished\ndata: "), HasSubstr("\"job_id\":" + id + ","));
  ::kill(status()["sub_workers"][0]["pid"].get<pid_t>(), SIGKILL);
  EXPECT_THAT(follower.read("event: process_died\ndata: "), HasSubstr("event: process_died\n"));
  EXPECT_THAT(follower.read("signal 9 (Killed)"), HasSubstr("\"name\":\"sub-worker m/0\""));
  EXPECT_THAT(follower.read("event: process_born"), HasSubstr("event: process_born"));
  family.signal(SIGTSTP);
  EXPECT_THAT(follower.read("\"state\":\"paused\""), HasSubstr("\"state\":\"paused\""));
}

TEST_F(Status, AFollowerWhoDoesNotReadIsDropped) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client lazy(path());
  lazy.send("GET /events HTTP/1.1\r\n\r\n");
  lazy.read("event: state_changed");
  const std::string many =
      "SELECT count(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, 500)";
  // Each job is some 350 bytes of events: until socket and backlog are full, and it is no longer served.
  const auto dropped = [&] {
    return family.processes("postpone: supervisor").size() == 1 && lazy.is_hung_up();
  };
  for (int round = 0; round < 20 && !dropped(); ++round) {
    sql(many);
    eventually([&] {
      return sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'm' AND status IN ('todo', "
                 "'doing')") == "0";
    });
  }
  EXPECT_TRUE(eventually(dropped, 40s));
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
}

TEST_F(Status, AFollowerWhoTalksIsDropped) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  Client talker(path());
  talker.send("GET /events HTTP/1.1\r\n\r\n");
  talker.read(": following");
  EXPECT_TRUE(eventually([&] { return !talker.send(std::string(1024, 'x')); }));
}

TEST_F(Status, EachFollowerIsToldTheStateFirst) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  for (int i = 0; i < 2; ++i) {
    Client follower(path());
    follower.send("GET /events HTTP/1.1\r\n\r\n");
    EXPECT_THAT(follower.read("}\n\n"), HasSubstr("event: state_changed\ndata: {"));
  }
  Client first(path());
  first.send("GET /events HTTP/1.1\r\n\r\n");
  first.read("}\n\n");
  Client second(path());
  second.send("GET /events HTTP/1.1\r\n\r\n");
  EXPECT_THAT(second.read("}\n\n"), HasSubstr("\"state\":\"running\""));
}

TEST_F(Status, TheSeventeenthFollowerIsRefused) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  std::vector<Client> followers;
  for (int i = 0; i < 16; ++i) {
    followers.emplace_back(path());
    followers.back().send("GET /events HTTP/1.1\r\n\r\n");
    followers.back().read(": following");
  }
  EXPECT_THAT(answer("/events"), StartsWith("503 16 clients follow the events already"));
  followers.pop_back();
  EXPECT_TRUE(eventually([&] {
    Client client(path());
    client.send("GET /events HTTP/1.1\r\n\r\n");
    return client.read("\r\n").starts_with("HTTP/1.1 200");
  }));
}

// --- the command line ---

std::string run_cli(std::vector<std::string> arguments, int wanted_status = 0) {
  arguments.insert(arguments.begin(), POSTPONE_CLI);
  const auto run = run_program(arguments);
  EXPECT_EQ(run.exit_status, wanted_status) << run.errors;
  return wanted_status == 0 ? run.output : run.errors;
}

TEST_F(Status, TheCommandShowsIt) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  const auto id = defer("test.until", "t", file_argument("go"), ", lock => 'sink'");
  defer("misbehave.segfault", "m");
  ASSERT_TRUE(eventually([&] {
    const json all = status();
    return all["sub_workers"][2]["job"].is_object() && all["recent_failures"].size() == 1 &&
           all["waiting"].is_object();
  }));
  const std::string page = run_cli({"status", "--socket", path()});
  EXPECT_THAT(page, HasSubstr("\nstate        running, ready\n"));
  EXPECT_TRUE(std::regex_search(
      page, std::regex("\n(SUB-WORKER +FOR +JOB +TASK +LOCK.*\n)t/2 .* " + id + "  test.until  sink")))
      << page;
  EXPECT_TRUE(std::regex_search(page, std::regex("ago +[0-9]+  misbehave.segfault +failed  signalled")))
      << page;
  EXPECT_THAT(violations(json::parse(run_cli({"status", "--json", "--socket", path()})), schema()),
              IsEmpty());
  std::ofstream(files_.file("other.toml")) << section() << group("m", kMisbehave, 1);
  EXPECT_THAT(run_cli({"status", "--config", files_.file("other.toml")}), HasSubstr("running, ready"));
  let_go("go");
}

TEST_F(Status, TopIsAListingWhenPiped) {
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  defer("misbehave.noop", "m");
  ASSERT_TRUE(eventually([&] { return status()["queues"].size() == 1; }));
  const std::string pages =
      run_cli({"top", "--socket", path(), "--count", "2", "--interval", "200ms", "--sort", "jobs"});
  EXPECT_EQ(pages.find('\x1b'), std::string::npos) << "no word for a terminal";
  const auto second = pages.find("\n\npostpone ");
  ASSERT_NE(second, std::string::npos) << pages;
  EXPECT_THAT(pages.substr(second), HasSubstr(" jobs/s\n"));
  EXPECT_TRUE(std::regex_search(pages, std::regex("\nSLOT +STATE .*\nm/[01] .*\n(m|t)/")))
      << "who did most comes first: " << pages;
}

TEST_F(Status, HealthcheckAsksTheSupervisorToo) {
  const std::vector<std::string> ready{"healthcheck", "--database-url", database_.url(),
                                       "--socket",    path(),           "--ready"};
  const std::vector<std::string> alive(ready.begin(), ready.end() - 1);
  EXPECT_THAT(run_cli(alive, 4), HasSubstr("is the supervisor running"));
  Family family(database_.url(), config());
  family.wait_until_ready(3);
  ASSERT_TRUE(becomes("running"));
  EXPECT_THAT(run_cli(ready), HasSubstr("; the supervisor answers (ready)\n"));
  EXPECT_THAT(run_cli({"healthcheck", "--database-url", database_.url(), "--config", family.config_path()}),
              HasSubstr("; the supervisor answers (ready)\n"));
  family.signal(SIGTSTP);
  ASSERT_TRUE(becomes("paused"));
  EXPECT_THAT(run_cli(alive), HasSubstr("the supervisor answers (not ready: paused"));
  EXPECT_THAT(run_cli(ready, 1), HasSubstr("the supervisor is not ready: paused"));
  EXPECT_THAT(run_cli({"healthcheck", "--database-url", database_.url(), "--ready"}, 2),
              HasSubstr("which supervisor?"));
}

TEST_F(Status, TheCommandsSayWhatIsWrong) {
  EXPECT_THAT(run_cli({"status"}, 2), HasSubstr("give --socket PATH, or --config FILE with [status] socket"));
  EXPECT_THAT(run_cli({"top", "--interval", "1ms", "--socket", "x"}, 2),
              HasSubstr("no duration from 100ms to 24h"));
  EXPECT_THAT(
      run_cli({"status", "--socket", path()}, 4),
      HasSubstr("status socket " + path() + ": No such file or directory; is the supervisor running"));
  std::ofstream(files_.file("none.toml")) << group("m", kMisbehave, 1);
  EXPECT_THAT(run_cli({"status", "--config", files_.file("none.toml")}, 3),
              HasSubstr("has no [status] socket"));
  const sys::Fd other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path().data(), path().size());
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(run_cli({"status", "--socket", path()}, 4),
              HasSubstr("Connection refused; is the supervisor running"));
  ASSERT_EQ(::listen(other.get(), 1), 0);
  EXPECT_THAT(run_cli({"status", "--socket", path()}, 4), HasSubstr("no answer within 5 s"));
}

// --- the file ---

TEST_F(Status, TheSocketHasItsMode) {
  Family family(database_.url(), section("mode = \"0600\"\n") + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  struct stat found {};
  ASSERT_EQ(::stat(path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600U);
}

TEST_F(Status, AStaleSocketIsReplaced) {
  {
    Family family(database_.url(), section() + group("m", kMisbehave, 1));
    family.wait_until_ready(1);
    family.signal(SIGKILL);
    family.wait();
    ASSERT_EQ(::access(path().c_str(), F_OK), 0);
  }
  Family family(database_.url(), section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  EXPECT_EQ(answer("/healthz"), "200 ok\n");
}

TEST_F(Status, ASocketThatSomebodyRemovesComesBack) {
  Family family(database_.url(), section() + group("m", kMisbehave, 1));
  family.wait_until_ready(1);
  std::filesystem::remove(path());
  EXPECT_TRUE(eventually([&] { return curl("/healthz").exit_status == 0; }));
  EXPECT_THAT(family.log(), HasSubstr("had been removed, and was made again"));
}

TEST_F(Status, ASecondSupervisorDoesNotStartAndTheFirstGoesOn) {
  Family first(database_.url(), section() + group("m", kMisbehave, 1));
  first.wait_until_ready(1);
  Family second(database_.url(), section() + group("m", kMisbehave, 1));
  EXPECT_EQ(second.wait().code, 1);
  EXPECT_THAT(second.log(),
              HasSubstr("status socket " + path() + ": another supervisor (pid " +
                        std::to_string(first.pid()) + ") has it; give each its own path in [status] socket"));
  EXPECT_EQ(status()["supervisor"]["pid"], first.pid());
}

TEST_F(Status, WhatIsNotOursIsLeftAlone) {
  const auto refusal = [&](int code = 1) {
    Family family(database_.url(), section() + group("m", kMisbehave, 1));
    EXPECT_EQ(family.wait().code, code);
    return family.log();
  };
  std::ofstream(path()) << "precious";
  EXPECT_THAT(refusal(3), HasSubstr("a file that is no socket lies there; remove it or choose another path"));
  EXPECT_EQ(read_file(path()), "precious");
  ::unlink(path().c_str());
  const sys::Fd other(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path().data(), path().size());
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  EXPECT_THAT(refusal(), HasSubstr("another program listens there; choose another path"));
  EXPECT_EQ(::access(path().c_str(), F_OK), 0);
  ::unlink(path().c_str());
  const sys::Fd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(datagrams.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(refusal(), HasSubstr("another program listens there; choose another path"));
  EXPECT_EQ(::access(path().c_str(), F_OK), 0);
  ::unlink(path().c_str());
  std::ofstream(path() + ".lock") << "[[package]]\nname = \"precious\"\n";
  EXPECT_THAT(refusal(3), HasSubstr(".lock is no lock file of a supervisor's"));
  EXPECT_THAT(read_file(path() + ".lock"), HasSubstr("precious"));
}

TEST_F(Status, ADirectoryThatIsNotThereIsNamed) {
  Family family(database_.url(),
                "[status]\nsocket = \"" + files_.file("no/status.sock") + "\"\n" + group("m", kMisbehave, 1));
  EXPECT_EQ(family.wait().code, 3);
  EXPECT_THAT(family.log(), HasSubstr("\"socket\" in [status]: there is no directory " + files_.file("no")));
}

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
    ::kill(old, SIGKILL);
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

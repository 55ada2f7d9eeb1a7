// `postpone queues`, `tasks`, `locks` and `workers` as people and scripts see them, once and again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/support/cli_story.h"
#include "tests/support/program.h"
#include "tests/support/terminal.h"

namespace postpone::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// Exit codes, as docs/cli.md promises them.
enum { kDone = 0, kUsage = 2 };

// Worker 1 is ours and called kitchen/1, worker 2 is Python's.
class CliOverview : public CliStory {
 protected:
  CliOverview() {
    sql("SELECT postpone_register_worker('host:1', 'web1', 'kitchen/1', 4711)");
    sql("SELECT procrastinate_register_worker_v1()");
  }

  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return nlohmann::json::parse(run(std::move(arguments)).output);
  }
  std::string defer(const std::string& more = "") const {
    return sql("SELECT postpone_defer('wash'" + more + ")");
  }
  // A job that this worker runs.
  std::string running(int worker, const std::string& more = "") const {
    defer(more);
    return sql("SELECT id FROM postpone_fetch_jobs(NULL, " + std::to_string(worker) + ", 1)");
  }

 private:
  std::vector<std::pair<std::string, std::string>> more_environment() const override {
    return {{"TERM", "xterm"}, {"NO_COLOR", ""}};
  }
};

nlohmann::json by_name(const nlohmann::json& list, const std::string& key, const std::string& name) {
  for (const nlohmann::json& entry : list) {
    if (entry.at(key) == name) return entry;
  }
  ADD_FAILURE() << "no " << key << " " << name << " in " << list.dump();
  return {};
}

// --- queues and tasks ---

TEST_F(CliOverview, QueuesCountJobsByStatus) {
  for (const char* status : {"succeeded", "succeeded", "failed", "cancelled", "aborted"}) {
    sql(std::string(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('kitchen', 'wash', '") +
        status + "')");
  }
  running(1, ", queue => 'kitchen'");
  defer(", queue => 'kitchen'");
  defer(", queue => 'kitchen', scheduled_at => now() + interval '1 hour'");
  defer(", queue => 'mail'");

  const nlohmann::json kitchen = by_name(json({"queues"}).at("queues"), "queue", "kitchen");
  EXPECT_EQ(kitchen["todo"], 2);
  EXPECT_EQ(kitchen["scheduled"], 1);
  EXPECT_EQ(kitchen["doing"], 1);
  EXPECT_EQ(kitchen["succeeded"], 2);
  EXPECT_EQ(kitchen["failed"], 1);
  EXPECT_EQ(kitchen["cancelled"], 1);
  EXPECT_EQ(kitchen["aborted"], 1);
  EXPECT_THAT(run({"queues"}).output, ContainsRegex("\nkitchen +2 +1 +1 +2 +1 +1 +1 .*\nmail +1 "));
  EXPECT_THAT(json({"queues", "--queue", "mail"}).at("queues"), SizeIs(1));
  EXPECT_EQ(run({"queues", "--queue", "nowhere"}).output, "no such jobs\n");
}

TEST_F(CliOverview, LiveCountsNothingThatHasEnded) {
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('old', 'wash', 'failed')");
  defer(", queue => 'kitchen'");
  const nlohmann::json queues = json({"queues", "--live"}).at("queues");
  ASSERT_THAT(queues, SizeIs(1));
  EXPECT_EQ(queues[0]["queue"], "kitchen");
  EXPECT_EQ(queues[0]["todo"], 1);
  EXPECT_EQ(queues[0]["failed"], nullptr) << "not counted is not none";
  EXPECT_THAT(run({"queues", "--live"}).output, Not(HasSubstr("FAILED")));
}

TEST_F(CliOverview, TasksAreCountedOverAllQueuesOrOne) {
  defer(", queue => 'kitchen'");
  defer(", queue => 'bar'");
  sql("SELECT postpone_defer('dry', queue => 'bar')");
  EXPECT_EQ(by_name(json({"tasks"}).at("tasks"), "task", "wash")["todo"], 2);
  EXPECT_EQ(by_name(json({"tasks", "--queue", "bar"}).at("tasks"), "task", "wash")["todo"], 1);
  EXPECT_THAT(run({"tasks"}).output, AllOf(StartsWith("TASK "), HasSubstr("\ndry "), HasSubstr("\nwash ")));
}

TEST_F(CliOverview, TheOldestJobIsTheOneThatHasWaitedLongestSinceItWasDue) {
  const auto oldest = [this] { return json({"queues", "--live"}).at("queues").at(0); };
  const std::string future = defer(", scheduled_at => now() + interval '1 hour'");
  EXPECT_EQ(oldest()["oldest_job_id"], nullptr) << "nothing is due";

  const std::string fresh = defer();
  EXPECT_EQ(oldest()["oldest_job_id"].dump(), fresh);
  // Retried just now: old by its number, and young by its wait.
  const std::string again = defer();
  sql("UPDATE procrastinate_jobs SET attempts = 1 WHERE id = " + again);
  sql("UPDATE procrastinate_events SET at = now() - interval '3 hours' WHERE job_id = " + again);
  sql("INSERT INTO procrastinate_events (job_id, type, at) VALUES (" + again +
      ", 'deferred_for_retry', now() + interval '1 second')");
  EXPECT_EQ(oldest()["oldest_job_id"].dump(), fresh);

  // Deferred long ago, due for five minutes only; and then one that is due for longer.
  const std::string due = defer(", scheduled_at => now() - interval '5 minutes'");
  sql("UPDATE procrastinate_events SET at = now() - interval '3 hours' WHERE type = 'deferred' AND job_id "
      "= " +
      due);
  EXPECT_EQ(oldest()["oldest_job_id"].dump(), due);
  EXPECT_NEAR(oldest()["oldest_waiting_s"].get<double>(), 300, 60);
  sql("UPDATE procrastinate_events SET at = now() - interval '10 minutes' WHERE job_id = " + fresh);
  EXPECT_EQ(oldest()["oldest_job_id"].dump(), fresh);
}

// --- locks ---

TEST_F(CliOverview, LocksShowWhoHoldsThemAndWhoWaits) {
  EXPECT_EQ(run({"locks"}).output, "no lock is held or waited for\n");
  const std::string held = running(1, ", lock => 'sink'");
  const std::string next = defer(", lock => 'sink', priority => 5");
  defer(", lock => 'sink'");
  const std::string free = defer(", lock => 'oven', scheduled_at => '2100-01-01'");
  defer();

  const nlohmann::json locks = json({"locks"}).at("locks");
  ASSERT_THAT(locks, SizeIs(2));
  const nlohmann::json sink = by_name(locks, "lock", "sink");
  EXPECT_EQ(sink["waiting"], 2);
  EXPECT_EQ(sink["holder"]["id"].dump(), held);
  EXPECT_EQ(sink["holder"]["worker"]["worker_name"], "kitchen/1");
  EXPECT_GE(sink["holder"]["running_s"], 0.0);
  EXPECT_EQ(sink["next"]["id"].dump(), next);
  EXPECT_EQ(sink["next"]["due"], true);
  const nlohmann::json oven = by_name(locks, "lock", "oven");
  EXPECT_EQ(oven["holder"], nullptr);
  EXPECT_EQ(oven["next"]["id"].dump(), free);
  EXPECT_EQ(oven["next"]["due"], false);

  EXPECT_THAT(run({"locks"}).output,
              ContainsRegex("\nsink +2 +" + held + " +wash +kitchen/1 +web1 .* " + next));
  EXPECT_THAT(json({"locks", "--held"}).at("locks"), SizeIs(1));
  EXPECT_EQ(json({"locks", "--lock", "oven"}).at("locks").at(0)["lock"], "oven");
}

TEST_F(CliOverview, LocksOfAWorkerThatIsGoneSaySo) {
  running(2, ", lock => 'sink'");
  sql("DELETE FROM procrastinate_workers WHERE id = 2");
  EXPECT_EQ(json({"locks"}).at("locks").at(0)["holder"]["worker"], nullptr);
  EXPECT_THAT(run({"locks"}).output, ContainsRegex("\nsink .* gone "));
}

TEST_F(CliOverview, TheLimitOfLocksKeepsThoseThatAreHeldAndTellsOfTheRest) {
  running(1, ", lock => 'held'");
  for (const char* lock : {"a", "b", "b"}) defer(std::string(", lock => '") + lock + "'");
  const nlohmann::json one = json({"locks", "--limit", "1"});
  EXPECT_EQ(one["locks"].at(0)["lock"], "held");
  EXPECT_EQ(one["more"], true);
  EXPECT_EQ(json({"locks", "--limit", "2"})["locks"].at(1)["lock"], "b");
  EXPECT_EQ(json({"locks", "--limit", "3"})["more"], false);
  EXPECT_THAT(run({"locks", "--limit", "1"}).errors, HasSubstr("--limit"));
}

// --- workers ---

TEST_F(CliOverview, WorkersShowWhereTheyAreAndWhatTheyRun) {
  const std::string job = running(1, ", lock => 'sink'");
  sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour' WHERE id = 2");
  const nlohmann::json workers = json({"workers"}).at("workers");
  ASSERT_THAT(workers, SizeIs(2));
  EXPECT_EQ(workers[0]["worker_id"], 1);
  EXPECT_EQ(workers[0]["worker_name"], "kitchen/1");
  EXPECT_EQ(workers[0]["host"], "web1");
  EXPECT_EQ(workers[0]["pid"], 4711);
  EXPECT_EQ(workers[0]["supervisor"], "host:1");
  EXPECT_EQ(workers[0]["state"], "busy");
  EXPECT_EQ(workers[0]["jobs"].at(0)["id"].dump(), job);
  EXPECT_EQ(workers[0]["jobs"].at(0)["lock"], "sink");
  EXPECT_EQ(workers[1]["foreign"], true);
  EXPECT_EQ(workers[1]["worker_name"], nullptr);
  EXPECT_EQ(workers[1]["state"], "silent");
  EXPECT_THAT(workers[1]["jobs"], IsEmpty());
  EXPECT_THAT(run({"workers"}).output,
              AllOf(ContainsRegex("\n +1 +kitchen/1 +web1 +4711 +busy .* " + job + " .* wash\n"),
                    ContainsRegex("\n +2 +.foreign. +silent +1 h 00 min\n")));
}

TEST_F(CliOverview, WorkersAreChosenByWhatTheyAreAndDo) {
  sql("SELECT postpone_register_worker('host:1', 'web2', 'kitchen.annex/1', 4712)");
  running(1);
  const auto ids = [this](std::vector<std::string> filter) {
    filter.insert(filter.begin(), "workers");
    std::string ids;
    const nlohmann::json answer = json(filter);
    for (const nlohmann::json& worker : answer.at("workers")) ids += worker["worker_id"].dump() + " ";
    return ids;
  };
  EXPECT_EQ(ids({"--busy"}), "1 ");
  EXPECT_EQ(ids({"--idle"}), "3 2 ");
  EXPECT_EQ(ids({"--host", "web2"}), "3 ");
  EXPECT_EQ(ids({"--group", "kitchen"}), "1 ");
  EXPECT_EQ(ids({"--silent"}), "");
  EXPECT_EQ(ids({"--silent", "--silent-for", "0s"}), "1 3 2 ");
  EXPECT_EQ(run({"workers", "--host", "nowhere"}).output, "no such workers\n");
  EXPECT_EQ(run({"workers", "--idle", "--busy"}).exit_status, kUsage);
}

// --- again and again, and in colour ---

TEST_F(CliOverview, WatchPrintsOneBlockAfterTheOtherIntoAPipe) {
  defer(", queue => 'kitchen'");
  const ProgramRun result = shell("$postpone queues --live --watch 0.1 | head -n 8");
  EXPECT_THAT(result.output,
              ContainsRegex("^QUEUE .*\nkitchen .*\n\nQUEUE .*\nkitchen .*\n\nQUEUE .*\nkitchen "));
  EXPECT_THAT(result.output, Not(HasSubstr("\x1b")));
}

// The test lets the role log in, then forbids it, then allows it again, each time after it has seen a page.
TEST_F(CliOverview, WatchOutlivesAnOutageAndSaysSo) {
  const std::string role = "watcher_" + sql("SELECT current_database()");
  sql("CREATE ROLE " + role + " LOGIN");
  sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + role);
  const ProgramRun result =
      shell("sql() { psql -qX \"$POSTPONE_DATABASE_URL\" -c \"$1\"; }; role=" + role +
            "; $postpone tasks --watch 0.1 --database-url \"$POSTPONE_DATABASE_URL user=$role\" |"
            " while read -r line; do echo \"$line\"; case $((++n)):$line in"
            " 1:*) sql \"ALTER ROLE $role NOLOGIN\" ;;"
            " *'trying again') sql \"ALTER ROLE $role LOGIN\"; hurt=1 ;;"
            " *'no such jobs') [[ ! ${hurt-} ]] || break ;; esac; done");
  sql("DROP OWNED BY " + role);
  sql("DROP ROLE " + role);
  EXPECT_THAT(result.output,
              ContainsRegex("^no such jobs\n(.*\n)*.*not permitted to log in.*trying again\n(.*\n)*"
                            "no such jobs\n$"));
}

TEST_F(CliOverview, WatchRedrawsInPlaceOnATerminal) {
  const ProgramRun result = shell(
      "typescript=$(mktemp); script -qefc \"stty rows 24 cols 90; exec $postpone workers --watch 0.1\""
      " \"$typescript\" < /dev/null > /dev/null & "
      "until grep -q $'\\x1b\\\\[3A' \"$typescript\"; do sleep 0.02; done; kill $!; wait; cat "
      "\"$typescript\";"
      "rm \"$typescript\"");
  EXPECT_THAT(result.output,
              ContainsRegex("ID .*\r\n.*kitchen/1.*\r\n.*foreign.*\r\n\x1b\\[J\x1b\\[3A\r+\x1b\\[K *ID "));
}

TEST_F(CliOverview, JobsTheirCountsAndStalledOnesAreWatchedLikewise) {
  for (const char* command : {"jobs list", "jobs count", "stalled list"}) {
    const std::string once = shell("$postpone " + std::string(command)).output;
    const auto lines = std::to_string(std::count(once.begin(), once.end(), '\n') * 2 + 1);
    EXPECT_EQ(shell("$postpone " + std::string(command) + " --watch 0.1 | head -n " + lines).output,
              once + "\n" + once);
  }
  EXPECT_EQ(run({"stalled", "list", "--watch", "0"}).exit_status, kUsage);
}

// The error of the outage is longer than a line of the terminal.
TEST_F(CliOverview, AnOutageLeavesNothingOnTheTerminal) {
  const std::string role = "watcher_" + sql("SELECT current_database()");
  sql("CREATE ROLE " + role + " LOGIN");
  sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + role);
  {
    Terminal terminal({POSTPONE_CLI, "tasks", "--watch", "0.1", "--database-url", url() + " user=" + role},
                      {{"TERM", "xterm"}}, 40, 10);
    ASSERT_TRUE(terminal.shows("no such jobs\n"));
    sql("ALTER ROLE " + role + " NOLOGIN");
    ASSERT_TRUE(terminal.until([&] { return terminal.screen().text().starts_with("cannot connect"); }));
    sql("ALTER ROLE " + role + " LOGIN");
    ASSERT_TRUE(terminal.until([&] { return terminal.screen().text().starts_with("no such jobs\n"); }));
    EXPECT_EQ(terminal.screen().text(), "no such jobs\n" + std::string(9, '\n'));
    EXPECT_EQ(terminal.screen().wrapped(), 0U);
    EXPECT_EQ(terminal.screen().scrolled(), 0U);
  }
  sql("DROP OWNED BY " + role);
  sql("DROP ROLE " + role);
}

TEST_F(CliOverview, WatchTakesASensibleIntervalOnly) {
  for (const char* interval : {"0", "-1", "soon", "1e9"}) {
    EXPECT_EQ(run({"queues", "--watch", interval}).exit_status, kUsage) << interval;
  }
}

TEST_F(CliOverview, ColourIsForTerminalsThatWantIt) {
  defer();
  const std::string list = "$postpone jobs list";
  EXPECT_EQ(shell(list).output.find('\x1b'), std::string::npos);
  const std::string on_terminal = "script -qec \"" + list + "\" /dev/null < /dev/null";
  EXPECT_THAT(shell(on_terminal).output, HasSubstr("\x1b[33mtodo\x1b[0m"));
  EXPECT_THAT(shell("NO_COLOR=1 " + on_terminal).output, AllOf(HasSubstr("todo"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(shell("TERM=dumb " + on_terminal).output, AllOf(HasSubstr("todo"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(shell("script -qec \"$postpone jobs show 4711\" /dev/null < /dev/null").output,
              HasSubstr("\x1b[31mpostpone:\x1b[0m there is no job 4711"));
}

}  // namespace
}  // namespace postpone::tests

// Schedules with real supervisors: of the configuration, of several hosts, paused, missed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/cli.h"
#include "tests/support/family.h"
#include "tests/support/job_story.h"

namespace postpone::tests {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kMisbehave = POSTPONE_EXAMPLES_DIR "/misbehave";
const std::string kTestTasks = POSTPONE_TEST_TASKS;

// A schedule of misbehave.noop.
std::string each_second(const std::string& more = "", const std::string& task = "misbehave.noop") {
  return "[[schedule]]\ntask = \"" + task + "\"\ncron = \"* * * * * *\"\nqueue = \"m\"\n" + more;
}

std::string configuration(const std::string& schedules,
                          const std::string& group_text = group("m", kMisbehave, 1)) {
  return group_text + schedules;
}

class Schedules : public DatabaseStory {
 protected:
  ProgramRun run(std::vector<std::string> arguments) const {
    return postpone(std::move(arguments), {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
  }
  int jobs() const { return std::stoi(sql("SELECT count(*) FROM procrastinate_jobs")); }
  bool come(int more) const {
    const int wanted = jobs() + more;
    return eventually([&] { return jobs() >= wanted; });
  }
  std::string deferred_twice() const {
    return sql(
        "SELECT count(*) FROM (SELECT task_name, args->>'timestamp' FROM procrastinate_jobs"
        " WHERE args ? 'timestamp' GROUP BY 1, 2 HAVING count(*) > 1) twice");
  }
  json list() const { return json::parse(run({"schedules", "list", "--json"}).output)["schedules"]; }
};

TEST_F(Schedules, TwoSupervisorsDeferEachTickOnce) {
  const auto config = configuration(each_second("missed = \"all\"\narguments = { dish = \"plate\" }\n"));
  Family one(database_.url(), config);
  Family two(database_.url(), config);
  one.wait_until_ready(1);
  two.wait_until_ready(1);
  EXPECT_TRUE(come(4)) << one.log();
  EXPECT_EQ(deferred_twice(), "0");
  EXPECT_EQ(sql("SELECT DISTINCT args - 'timestamp' FROM procrastinate_jobs"), R"({"dish": "plate"})");
  // One of them goes, and another one begins where both had been.
  one.kill_all();
  EXPECT_TRUE(come(2));
  Family three(database_.url(), config);
  EXPECT_TRUE(come(3)) << three.log();
  EXPECT_EQ(deferred_twice(), "0");
}

// Older supervisors of Postpone and Python's workers know of ticks only.
TEST_F(Schedules, TickThatAnotherProgramHasDeferredIsNotDeferredAgain) {
  Family family(database_.url(), configuration(each_second()));
  family.wait_until_ready(1);
  ASSERT_TRUE(come(2)) << family.log();
  sql("SELECT procrastinate_defer_periodic_job_v2('m', NULL, NULL, 'misbehave.noop', 0, '', ahead,"
      " jsonb_build_object('timestamp', ahead)) FROM (SELECT floor(extract(epoch FROM now()))::bigint + i AS "
      "ahead"
      " FROM generate_series(1, 3) AS i) AS ticks");
  EXPECT_TRUE(come(5));
  EXPECT_EQ(deferred_twice(), "0");
}

TEST_F(Schedules, NewOneHasNoTicksBeforeItExisted) {
  Family family(database_.url(),
                configuration("[[schedule]]\ntask = \"misbehave.noop\"\ncron = \"* * * * *\"\n"
                              "missed = \"all\"\n" +
                              each_second("id = \"b\"\n")));
  family.wait_until_ready(1);
  ASSERT_TRUE(come(3)) << family.log();
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs AS job JOIN procrastinate_events AS event ON"
                " event.job_id = job.id AND event.type = 'deferred'"
                " WHERE to_timestamp((args->>'timestamp')::bigint) <"
                " (SELECT min(since) - interval '1 second' FROM postpone_schedules)"),
            "0");
}

// As a server's clock that was a week ahead for a minute leaves them.
TEST_F(Schedules, WhatWasWrittenInTheFutureSilencesNone) {
  Family family(database_.url(), configuration(each_second("id = \"t\"\n") + each_second("id = \"s\"\n")));
  family.wait_until_ready(1);
  ASSERT_TRUE(come(2)) << family.log();
  sql("UPDATE postpone_schedules SET last_tick = now() + interval '7 days' WHERE periodic_id = 't'");
  sql("UPDATE postpone_schedules SET since = now() + interval '7 days' WHERE periodic_id = 's'");
  ASSERT_TRUE(come(4)) << family.log();
  family.kill_all();
  sql("UPDATE postpone_schedules SET last_tick = now() + interval '7 days', since = now() + interval '7 "
      "days'");
  Family next(database_.url(), configuration(each_second("id = \"t\"\n") + each_second("id = \"s\"\n")));
  ASSERT_TRUE(come(4)) << next.log();
}

// A scheduler whose clock is behind: Python's workers ask for each tick.
TEST_F(Schedules, TickBeforeTheLastOneIsDeferredByNobody) {
  const auto defer_tick = [&](int tick) {
    return sql("SELECT coalesce(procrastinate_defer_periodic_job_v2('m', NULL, NULL, 'a', 0, '', " +
               std::to_string(tick) + ", '{}'), 0) > 0");
  };
  EXPECT_EQ(defer_tick(60), "t");
  EXPECT_EQ(defer_tick(120), "t");
  EXPECT_EQ(defer_tick(60), "f");
  EXPECT_EQ(defer_tick(120), "f");
  EXPECT_EQ(defer_tick(180), "t");
}

// The housekeeper may hear of a pause when it is over.
TEST_F(Schedules, TicksOfAPauseAreNoneAfterwards) {
  sql("INSERT INTO postpone_schedules (task_name, cron, zone, missed, missed_within, queue_name, priority, "
      "args, since, "
      "announced_at, announced_by) VALUES ('a', '* * * * *', 'UTC', 'all', 86400, 'm', 0, '{}', now() - "
      "interval "
      "'1 day', now(), 's')");
  const std::string minute_ago = "extract(epoch FROM now())::bigint - 60";
  const auto tick = [&] {
    return sql("SELECT disposition FROM postpone_defer_tick('a', '', " + minute_ago +
               ", 'm', 0, NULL, NULL, '{}')");
  };
  sql("SELECT postpone_pause_schedule('a')");
  EXPECT_EQ(tick(), "paused");
  sql("SELECT postpone_resume_schedule('a')");
  EXPECT_EQ(tick(), "done");
  EXPECT_EQ(jobs(), 0);
}

TEST_F(Schedules, MissedTicksAreMadeUpForAsTheirPolicySays) {
  const auto config =
      configuration(each_second("missed = \"all\"\nid = \"a\"\narguments = { of = \"a\" }\n") +
                    each_second("missed = \"last\"\nid = \"l\"\narguments = { of = \"l\" }\n"));
  {
    Family family(database_.url(), config);
    family.wait_until_ready(1);
    ASSERT_TRUE(come(4)) << family.log();
    family.kill_all();
  }
  const auto stopped = sql("SELECT extract(epoch FROM max(last_tick))::bigint FROM postpone_schedules");
  // Longer than what counts as in time.
  ASSERT_TRUE(eventually([&] { return sql("SELECT extract(epoch FROM now()) > 15 + " + stopped) == "t"; }));
  Family family(database_.url(), config);
  ASSERT_TRUE(come(20)) << family.log();
  const auto made_up = [&](const std::string& of) {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE args->>'of' = '" + of +
               "' AND (args->>'timestamp')::bigint BETWEEN " + stopped + " + 1 AND " + stopped + " + 14");
  };
  EXPECT_EQ(made_up("a"), "14");
  EXPECT_EQ(made_up("l"), "0") << "the last one is younger";
  EXPECT_EQ(sql("SELECT count(*) - count(DISTINCT args) FROM procrastinate_jobs"), "0");
}

TEST_F(Schedules, PausedOnesTicksPassAndAreNotMadeUpFor) {
  Family family(database_.url(), configuration(each_second("missed = \"all\"\n")));
  family.wait_until_ready(1);
  ASSERT_TRUE(come(2)) << family.log();
  EXPECT_THAT(run({"schedules", "pause", "misbehave.noop"}).output, HasSubstr("paused"));
  const int paused_at = jobs();
  const auto later = sql("SELECT extract(epoch FROM now())::bigint + 3");
  ASSERT_TRUE(eventually([&] { return sql("SELECT extract(epoch FROM now()) > " + later) == "t"; }));
  EXPECT_LE(jobs(), paused_at + 1) << "one may have been on its way";
  EXPECT_FALSE(list()[0]["paused_at"].is_null());
  EXPECT_TRUE(list()[0]["next_tick"].is_null());
  const auto job = run({"schedules", "run", "misbehave.noop"});
  EXPECT_EQ(job.exit_status, 0) << job.errors;
  EXPECT_TRUE(becomes(job.output.substr(0, job.output.find('\n')), "succeeded"));
  EXPECT_THAT(run({"schedules", "resume", "misbehave.noop"}).output, HasSubstr("resumed"));
  ASSERT_TRUE(come(2));
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs WHERE (args->>'timestamp')::bigint BETWEEN " +
                later + " - 2 AND " + later + " AND id <> " + job.output.substr(0, job.output.find('\n'))),
            "0");
}

TEST_F(Schedules, ListShowsWhatIsServed) {
  Family family(database_.url(),
                configuration("[[schedule]]\ntask = \"report.build\"\ncron = \"0 6 * * mon\"\n"
                              "queue = \"python\"\n",
                              group("default", kTestTasks, 1)));
  family.wait_until_ready(1);
  ASSERT_TRUE(eventually([&] { return list().size() == 2; })) << family.log();
  EXPECT_EQ(list()[0]["task"], "report.build");
  EXPECT_EQ(list()[0]["zone"], "UTC");
  EXPECT_EQ(list()[0]["queue"], "python");
  EXPECT_TRUE(list()[0]["served"]);
  EXPECT_THAT(list()[0]["next_tick"].get<std::string>(), HasSubstr("T06:00:00"));
  EXPECT_EQ(list()[1]["task"], "test.tick");
  EXPECT_THAT(run({"schedules", "list"}).output, HasSubstr("0 6 * * mon"));
  EXPECT_EQ(run({"schedules", "run", "nothing"}).exit_status, 1);
  EXPECT_THAT(run({"schedules", "pause", "test.tick", "--id", "x"}).errors,
              HasSubstr("there is no schedule of task test.tick with id x; `postpone schedules list`"));
}

TEST_F(Schedules, ReloadTakesAChangedFile) {
  Family family(database_.url(), configuration(each_second("id = \"old\"\n")));
  family.wait_until_ready(1);
  ASSERT_TRUE(come(1)) << family.log();
  family.rewrite(configuration(each_second("id = \"new\"\n")));
  family.signal(SIGHUP);
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT last_tick IS NOT NULL FROM postpone_schedules WHERE periodic_id = 'new'") == "t";
  })) << family.log();
}

// Of a schedule whose time zone this host does not know, say: nothing is started half-way.
TEST_F(Schedules, WrongOneIsNamedWithItsPlace) {
  Family family(database_.url(),
                configuration("[[schedule]]\ntask = \"misbehave.noop\"\ncron = \"0 25 * * *\"\n"
                              "zone = \"Europe/Pariss\"\n"));
  EXPECT_EQ(family.wait().code, 3);
  EXPECT_THAT(family.log(), HasSubstr("\"cron\" in [[schedule]]: \"0 25 * * *\": \"25\" cannot be its hour"));
  EXPECT_THAT(family.log(), HasSubstr("time zone \"Europe/Pariss\""));
}

}  // namespace
}  // namespace postpone::tests

// What jobs give back and how far they are, and what they carry beside their arguments: in SQL, on real sessions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/integration/fetch_fixture.h"

namespace postpone::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kGives =
    R"("result": {"pages": 3}, "progress": {"done": 3, "total": 4, "note": "packing"})";

class Results : public Queue {
 protected:
  // Who reads the table of results.
  Values kept() {
    return app.rows(
        "SELECT job_id, attempt, result, progress_done, progress_total, progress_note FROM postpone_results "
        "ORDER BY job_id");
  }
  std::string shown(int id) {
    return app.value("SELECT result, progress FROM postpone_jobs WHERE id = " + std::to_string(id));
  }
  static std::string progress_sql(int job, int attempt, int done, int worker = 1) {
    return "SELECT postpone_store_progress(" + std::to_string(worker) + ", " + std::to_string(job) + ", " +
           std::to_string(attempt) + ", " + std::to_string(done) + ", 9, 'washing')";
  }
  std::string tell(int job, int attempt, int done, int worker = 1) {
    return app.value(progress_sql(job, attempt, done, worker));
  }
};

TEST_F(Results, ComeWithTheSuccess) {
  defer();
  fetch();
  EXPECT_THAT(finish(outcome(1, "succeed", kGives)), ElementsAre("1|recorded|∅|succeeded"));
  EXPECT_THAT(kept(), ElementsAre("1|1|{\"pages\": 3}|3|4|packing"));
  EXPECT_EQ(shown(1), "{\"pages\": 3}|3 of 4: packing");
}

TEST_F(Results, OfOneThatDidNotSucceedAreNoneButItsProgressStays) {
  defer();
  fetch();
  finish(outcome(1, "fail", kGives));
  EXPECT_THAT(kept(), ElementsAre("1|1|∅|3|4|packing"));
  EXPECT_EQ(shown(1), "∅|3 of 4: packing");
}

TEST_F(Results, LeaveNothingWhereThereIsNone) {
  defer();
  defer();
  fetch(1, 2);
  finish(outcome(1, "succeed") + "," + outcome(2, "succeed", kGives));
  EXPECT_THAT(app.rows("SELECT job_id FROM postpone_results"), ElementsAre("2"));
}

TEST_F(Results, OfAnEarlierAttemptAreReplacedAndNotShownMeanwhile) {
  defer();
  fetch();
  finish(outcome(1, "succeed", kGives));
  app.rows("UPDATE procrastinate_jobs SET status = 'todo'");
  EXPECT_EQ(shown(1), "∅|3 of 4: packing") << "of its last attempt";
  fetch();
  EXPECT_EQ(shown(1), "∅|∅");
  EXPECT_EQ(tell(1, 2, 1), "t");
  EXPECT_EQ(shown(1), "∅|1 of 9: washing");
  finish(outcome(1, "succeed", R"("result": 4)", 2));
  EXPECT_EQ(shown(1), "4|∅");

  // The next one gives none.
  app.rows("UPDATE procrastinate_jobs SET status = 'todo'");
  fetch();
  finish(outcome(1, "succeed", "", 3));
  EXPECT_EQ(shown(1), "∅|∅");
}

TEST_F(Results, GoWithTheirJob) {
  for (int i = 0; i < 4; ++i) defer();
  fetch(1, 4);
  finish(outcome(1, "succeed", std::string(kGives) + R"(, "delete_job": true)") + "," +
         outcome(2, "fail", std::string(kGives) + R"(, "delete_job": true)") + "," +
         outcome(3, "succeed", kGives) + "," + outcome(4, "succeed", kGives));
  EXPECT_THAT(app.rows("SELECT job_id FROM postpone_results ORDER BY 1"), ElementsAre("3", "4"));
  app.rows("DELETE FROM procrastinate_jobs WHERE id = 3");
  EXPECT_THAT(app.rows("SELECT job_id FROM postpone_results"), ElementsAre("4"));
  app.rows("TRUNCATE procrastinate_jobs CASCADE");
  EXPECT_THAT(kept(), IsEmpty());
}

// The application looks at the ends of jobs: they end first, and are deleted then.
TEST_F(Results, OfAJobThatIsDeletedAfterItsEndGoWithIt) {
  app.rows(
      "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
      "CREATE TRIGGER see AFTER UPDATE ON procrastinate_jobs FOR EACH ROW EXECUTE FUNCTION see()");
  defer();
  fetch();
  finish(outcome(1, "succeed", std::string(kGives) + R"(, "delete_job": true)"));
  EXPECT_THAT(app.rows("SELECT FROM procrastinate_jobs"), IsEmpty());
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(Results, OfALateWriterWhoseLeaseIsLostChangeNothing) {
  defer();
  fetch();
  EXPECT_EQ(tell(1, 1, 2), "t");
  rescue(1, "", "retry");
  fetch(2);
  EXPECT_EQ(tell(1, 2, 5, 2), "t");
  EXPECT_EQ(tell(1, 1, 3), "f");
  EXPECT_EQ(tell(1, 2, 3), "f") << "not even if it guesses the attempt";
  EXPECT_THAT(finish(outcome(1, "succeed", kGives)), ElementsAre("1|gone|∅|doing"));
  EXPECT_THAT(finish(outcome(1, "succeed", kGives, 2)), ElementsAre("1|gone|∅|doing"));
  EXPECT_THAT(kept(), ElementsAre("1|2|∅|5|9|washing"));
}

TEST_F(Results, ThatComeASecondTimeChangeNothing) {
  defer();
  fetch();
  finish(outcome(1, "succeed", kGives));
  EXPECT_THAT(finish(outcome(1, "succeed", R"("result": "another")")),
              ElementsAre("1|already_recorded|∅|succeeded"));
  EXPECT_EQ(shown(1), "{\"pages\": 3}|3 of 4: packing");
}

TEST_F(Results, OfARescuedWorkerAreWhatItsBoardSays) {
  defer();
  fetch();
  rescue(1, outcome(1, "succeed", kGives), "retry", "'{}'");
  EXPECT_EQ(shown(1), "{\"pages\": 3}|3 of 4: packing");
}

TEST_F(Results, ProgressIsOfJobsThatRunAlsoOfClaimedOnes) {
  defer();
  EXPECT_EQ(tell(1, 1, 1), "f") << "it waits";
  app.rows("SELECT FROM postpone_fetch_jobs(NULL, 1, 1, may_claim => true)");
  EXPECT_EQ(job(1, "status"), "todo");
  EXPECT_EQ(tell(1, 1, 1, 2), "f") << "another worker has it";
  EXPECT_EQ(tell(1, 1, 1), "t");
  EXPECT_EQ(shown(1), "∅|1 of 9: washing");
  app.rows("SELECT postpone_settle_claims(1)");
  EXPECT_EQ(tell(1, 1, 2), "t");
  EXPECT_EQ(shown(1), "∅|2 of 9: washing");
}

TEST_F(Results, ProgressWaitsForNobody) {
  defer();
  fetch();
  for (const char* lock : {"SELECT FROM procrastinate_jobs FOR UPDATE",
                           "SELECT FROM procrastinate_workers WHERE id = 1 FOR UPDATE"}) {
    one.rows("BEGIN");
    one.rows(lock);
    EXPECT_EQ(tell(1, 1, 1), "f") << lock;
    one.rows("ROLLBACK");
  }
  EXPECT_EQ(tell(1, 1, 1), "t");
}

// Else who deletes it at this moment would not see the row, which stayed behind.
TEST_F(Results, ProgressOfAJobThatIsBeingDeletedGoesWithIt) {
  defer();
  fetch();
  one.rows("BEGIN");
  one.rows(progress_sql(1, 1, 1));
  two.send("DELETE FROM procrastinate_jobs");
  wait_until_blocked(database, two);
  one.rows("COMMIT");
  two.receive();
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(Results, OneThatTheDatabaseRefusesRefusesTheOutcome) {
  app.rows("ALTER TABLE postpone_results ADD CHECK (result <> '13')");
  defer();
  fetch();
  EXPECT_THROW(finish(outcome(1, "succeed", R"("result": 13)")), SqlError);
  EXPECT_EQ(job(1, "status"), "doing");
}

TEST_F(Results, MetaComesWithTheFetchAndFollowersHaveTheirs) {
  defer();
  app.rows(R"(UPDATE procrastinate_jobs SET meta = '{"tenant": "ann"}')");
  EXPECT_THAT(app.rows("SELECT id, meta FROM postpone_fetch_jobs(NULL, 1, 1)"),
              ElementsAre("1|{\"tenant\": \"ann\"}"));
  finish(outcome(1, "succeed",
                 R"("defers": [{"task": "mail", "meta": {"tenant": "bob"}}, {"task": "dry"}, {"task": "sweep",
                                  "meta": {}}])"));
  EXPECT_THAT(
      app.rows("SELECT task, meta, deferred_by FROM postpone_jobs ORDER BY id"),
      ElementsAre("wash|{\"tenant\": \"ann\"}|∅", "mail|{\"tenant\": \"bob\"}|1", "dry|∅|1", "sweep|∅|1"));
  EXPECT_THAT(app.rows("SELECT task_name, meta, deferred_by FROM postpone_fetch_around(NULL, 1, '{}')"
                       " WHERE refused_because IS NULL"),
              ElementsAre("mail|{\"tenant\": \"bob\"}|1"));
  EXPECT_THAT(app.rows("SELECT task_name, deferred_by FROM postpone_fetch_jobs(NULL, 1, 1)"),
              ElementsAre("dry|1"));
}

}  // namespace
}  // namespace postpone::tests

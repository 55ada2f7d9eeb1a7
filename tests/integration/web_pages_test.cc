// postpone-web on a real database: what its pages show, and that nothing of a job becomes markup.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/integration/web_fixture.h"
#include "tests/support/hostile_rows.h"

namespace postpone::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

class WebPages : public testing::Test {
 protected:
  std::string sql(const std::string& statement) const { return database_.execute(statement); }
  nlohmann::json api(const std::string& target) const {
    const WebAnswer answer = web_.get(target);
    EXPECT_EQ(answer.status, 200) << target << ": " << answer.body;
    return nlohmann::json::parse(answer.body);
  }

  TestDatabase database_;
  WebProgram web_{database_.url()};
};

// A job of every kind, each of its texts the same one.
void fill_with(const TestDatabase& database, const std::string& text) {
  const std::string quoted = "$text$" + text + "$text$";
  const std::string json = "jsonb_build_object(" + quoted + ", " + quoted + ")";
  database.execute("INSERT INTO procrastinate_workers DEFAULT VALUES");
  database.execute(
      "INSERT INTO postpone_workers (worker_id, supervisor, host, name, pid, queues) SELECT id, " + quoted +
      ", " + quoted + ", " + quoted + ", 1, ARRAY[" + quoted + "] FROM procrastinate_workers");
  for (const char* status : {"todo", "doing", "succeeded", "failed", "cancelled", "aborted"})
    database.execute(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, meta, status, "
        "worker_id)"
        " SELECT " +
        quoted + ", " + quoted + ", " + quoted + ", " + quoted + ", " + json + ", " + json + ", '" + status +
        "', CASE WHEN '" + status + "' = 'doing' THEN max(id) END FROM procrastinate_workers");
  database.execute("UPDATE procrastinate_jobs SET attempts = 1 WHERE status NOT IN ('todo', 'doing')");
  database.execute(
      "INSERT INTO procrastinate_events (job_id, type) SELECT id, 'failed' FROM procrastinate_jobs");
  database.execute(
      "INSERT INTO postpone_attempts (job_id, attempt, cause, exception_type, message, stderr_tail, "
      "worker_name)"
      " SELECT id, 1, 'exception', " +
      quoted + ", " + quoted + ", " + quoted + ", " + quoted +
      " FROM procrastinate_jobs WHERE status <> 'doing'");
  database.execute(
      "INSERT INTO postpone_results (job_id, attempt, result, progress_done, progress_total, progress_note)"
      " SELECT id, 1, " +
      json + ", 1, 2, " + quoted + " FROM procrastinate_jobs");
  database.execute(
      "INSERT INTO postpone_schedules (task_name, periodic_id, cron, zone, missed, missed_within, queue_name,"
      " priority, args, since, announced_at, announced_by) VALUES (" +
      quoted + ", " + quoted + ", " + quoted + ", " + quoted + ", " + quoted + ", 1, " + quoted + ", 0, " +
      json + ", now(), now(), " + quoted + ")");
}

std::vector<std::string> pages_with_jobs(const TestDatabase& database) {
  std::vector<std::string> pages = web_pages();
  for (const char* more : {"/jobs?status=running", "/jobs?status=failed", "/jobs?status=waiting",
                           "/locks?lock=x", "/jobs?q=task:nothing", "/jobs?q=args.a=b", "/failures?before=3"})
    pages.emplace_back(more);
  const int last = std::atoi(database.execute("SELECT coalesce(max(id), 0) FROM procrastinate_jobs").c_str());
  for (int id = 1; id <= last; ++id) pages.push_back("/jobs/" + std::to_string(id));
  return pages;
}

TEST_F(WebPages, ShowAnEmptyDatabaseAsAFirstRun) {
  for (const std::string& page : web_pages()) EXPECT_EQ(web_.get(page).status, 200) << page;
  EXPECT_THAT(web_.get("/").body, HasSubstr("Nothing has run yet"));
  EXPECT_THAT(web_.get("/jobs").body, HasSubstr("No jobs yet"));
}

TEST_F(WebPages, NeverTakeATextForMarkup) {
  const std::string script = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' onload='x";
  fill_with(database_, script);
  for (const std::string& page : pages_with_jobs(database_)) {
    const WebAnswer answer = web_.get(page);
    EXPECT_EQ(answer.status, 200) << page << answer.body;
    EXPECT_THAT(answer.body, Not(HasSubstr("<script>alert"))) << page;
    EXPECT_THAT(answer.body, Not(HasSubstr("<img src=x"))) << page;
  }
  EXPECT_THAT(web_.get("/jobs/4").body, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  const std::string searched =
      web_.get("/jobs?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&status=%3Cscript%3Ealert").body;
  EXPECT_THAT(searched, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(web_.get("/%3Cscript%3Ealert(1)%3C/script%3E").body, Not(HasSubstr("<script>alert")));
}

TEST_F(WebPages, ShowWhateverStandsInTheTables) {
  HostileRows rows(17);
  for (const std::string& statement : rows.statements(120)) sql(statement);
  for (const std::string& page : web_pages()) {
    const WebAnswer answer = web_.get(page);
    EXPECT_EQ(answer.status, 200) << page << answer.body;
    EXPECT_THAT(answer.body, Not(HasSubstr("<script>alert"))) << page;
  }
  const std::string ids = sql("SELECT string_agg(id::text, ' ') FROM procrastinate_jobs WHERE id > 0");
  std::istringstream list(ids);
  for (std::string id; list >> id;) {
    EXPECT_EQ(web_.get("/jobs/" + id).status, 200) << id << web_.get("/jobs/" + id).body;
    EXPECT_EQ(web_.get("/api/jobs/" + id).status, 200) << id;
  }
  for (const char* page : {"/api/overview", "/api/jobs", "/api/failures", "/api/queues", "/api/tasks",
                           "/api/locks", "/api/schedules", "/api/workers"})
    EXPECT_EQ(web_.get(page).status, 200) << page << web_.get(page).body;
  api("/api/openapi.json");
}

TEST_F(WebPages, HideArgumentsWhereTheyAreToldTo) {
  fill_with(database_, "a secret");
  sql("UPDATE procrastinate_jobs SET queue_name = 'q', task_name = 't', lock = 'l' || id, queueing_lock = "
      "NULL");
  sql("UPDATE postpone_attempts SET exception_type = NULL, message = NULL, stderr_tail = NULL, worker_name = "
      "NULL");
  sql("UPDATE postpone_results SET progress_note = NULL");
  sql("DELETE FROM postpone_schedules");
  sql("UPDATE postpone_workers SET supervisor = 's', host = 'h', name = 'n', queues = '{}'");
  const WebProgram hiding(database_.url(), {"--hide-arguments"});
  for (const std::string& page : pages_with_jobs(database_))
    EXPECT_THAT(hiding.get(page).body, Not(HasSubstr("a secret"))) << page;
  EXPECT_THAT(hiding.get("/jobs/3").body, HasSubstr("hidden by --hide-arguments"));
  EXPECT_THAT(hiding.get("/api/jobs/3").body, Not(HasSubstr("a secret")));
  EXPECT_THAT(web_.get("/jobs/3").body, HasSubstr("a secret"));
  sql("UPDATE procrastinate_jobs SET args = '{\"pin\": 4711}'");
  EXPECT_THAT(web_.get("/jobs?q=args.pin=4711").body, HasSubstr("href=\"/jobs/3\""));
  const std::string asked = hiding.get("/jobs?q=args.pin=4711").body;
  EXPECT_THAT(asked, HasSubstr("arguments are hidden"));
  EXPECT_THAT(asked, Not(HasSubstr("name=\"args\"")));
  const WebAnswer refused = hiding.get("/api/jobs?q=-args.pin=4711");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(hiding.get("/api/jobs?args=pin%3D1").status, 400);
}

TEST_F(WebPages, ListTheBeginningOfLongArguments) {
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES"
      " ('q', 't', jsonb_build_object('text', repeat('x', 100000))), ('q', 't', '{\"n\": 1}')");
  const auto jobs = api("/api/jobs").at("jobs");
  EXPECT_EQ(jobs.at(0).at("args").at("n"), 1);
  EXPECT_TRUE(jobs.at(0).at("args_beginning").is_null());
  EXPECT_TRUE(jobs.at(1).at("args").is_null());
  EXPECT_EQ(jobs.at(1).at("args_beginning").get<std::string>().size(), 2000U);
  EXPECT_EQ(api("/api/jobs/1").at("job").at("args").at("text").get<std::string>().size(), 100000U);
}

// Of the jobs that are looked at behind "after", none may be like the search, and still there are newer ones.
TEST_F(WebPages, SearchOnForNewerJobs) {
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name) SELECT 'q', CASE n WHEN 60000 THEN 'rare' ELSE "
      "'t' END"
      " FROM generate_series(1, 60000) n");
  const auto first = api("/api/jobs?q=task:rare&after=1");
  EXPECT_TRUE(first.at("jobs").empty());
  EXPECT_TRUE(first.at("has_newer").get<bool>());
  EXPECT_EQ(first.at("searched_up_to"), 50001);
  EXPECT_THAT(web_.get("/jobs?q=task:rare&after=1").body, HasSubstr("after=50001"));
  const auto next = api("/api/jobs?q=task:rare&after=50001");
  EXPECT_EQ(next.at("jobs").at(0).at("id"), 60000);
  EXPECT_FALSE(next.at("has_newer").get<bool>());
}

TEST_F(WebPages, KeepTheSearchInTheLinkToItsJson) {
  EXPECT_THAT(web_.get("/jobs?queue=mail&status=failed&before=9").body,
              HasSubstr("href=\"/api/jobs?q=queue%3Amail&amp;status=failed&amp;before=9\""));
  const std::string page = web_.get("/jobs?q=task:a+id:9223372036854775807").body;
  EXPECT_THAT(page, HasSubstr("aria-label=\"Remove id 9223372036854775807\""));
  EXPECT_THAT(page, Not(HasSubstr("id up to")));
}

TEST_F(WebPages, GoThroughAllJobsPageByPage) {
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name, args) SELECT 'q', 't' || n % 2, "
      "jsonb_build_object('n', n)"
      " FROM generate_series(1, 120) n");
  std::vector<std::int64_t> ids;
  std::string target = "/api/jobs";
  for (int pages = 0; pages < 5 && !target.empty(); ++pages) {
    const auto page = api(target);
    for (const auto& job : page.at("jobs")) ids.push_back(job.at("id"));
    target = page.at("has_older").get<bool>() ? "/api/jobs?before=" + std::to_string(ids.back()) : "";
  }
  ASSERT_EQ(ids.size(), 120U);
  EXPECT_TRUE(std::is_sorted(ids.rbegin(), ids.rend()));
  const auto newer = api("/api/jobs?after=" + std::to_string(ids[60]));
  EXPECT_EQ(newer.at("jobs").back().at("id"), ids[59]);
  EXPECT_EQ(api("/api/jobs?q=task:t1").at("jobs").size(), 50U);
  EXPECT_EQ(api("/api/jobs?q=args.n=7").at("jobs").size(), 1U);
  EXPECT_EQ(api("/api/jobs?q=-task:t1+id:%3E110").at("jobs").size(), 5U);
  EXPECT_EQ(web_.get("/api/jobs?q=id:nothing").status, 400);
}

TEST_F(WebPages, KeepNumbersAsTheyAreStored) {
  sql(R"(INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('q', 't', '{"id": 90071992547409931.50}'))");
  EXPECT_THAT(web_.get("/jobs/1").body, HasSubstr("90071992547409931.50"));
  EXPECT_THAT(web_.get("/api/jobs/1").body, HasSubstr(R"({"id": 90071992547409931.50})"));
}

TEST_F(WebPages, SayHowAJobStands) {
  sql("INSERT INTO procrastinate_jobs (queue_name, task_name, lock) VALUES ('q', 'elder', 'l'), ('q', "
      "'younger', 'l')");
  sql("INSERT INTO procrastinate_workers DEFAULT VALUES");
  sql("UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1 WHERE id = 1");
  EXPECT_THAT(web_.get("/jobs/1").body, HasSubstr("Running"));
  EXPECT_THAT(web_.get("/jobs/2").body, HasSubstr("behind job 1 of its lock, which runs"));
  EXPECT_EQ(api("/api/locks").at("locks").at(0).at("holder").at("id"), 1);
  sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'");
  EXPECT_EQ(api("/api/jobs/1").at("job").at("state"), "stalled");
  EXPECT_THAT(web_.get("/").body, HasSubstr("stalled"));
  EXPECT_EQ(web_.get("/jobs/99").status, 404);
}

}  // namespace
}  // namespace postpone::tests

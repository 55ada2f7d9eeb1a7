// postpone-web as a server: what it refuses, how it ends, and what it does while the database is away.
#include <unistd.h>

#include <memory>

#include "tests/integration/web_fixture.h"
#include "tests/support/private_server.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class WebServer : public testing::Test {
 protected:
  TestDatabase database_;
  WebProgram web_{database_.url()};
};

TEST_F(WebServer, ChangesNothing) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
    const WebAnswer answer = web_.exchange(
        std::string(method) + " /jobs/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_THAT(answer.header, HasSubstr("Allow: GET, HEAD"));
  }
  EXPECT_EQ(database_.execute("SELECT count(*) FROM procrastinate_jobs"), "0");
}

TEST_F(WebServer, TellsBrowsersWhatNotToDo) {
  for (const char* target : {"/", "/api/jobs", "/assets/style.css", "/nothing"}) {
    const std::string header = web_.get(target).header;
    EXPECT_THAT(
        header,
        HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'"));
    EXPECT_THAT(header, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(header, HasSubstr("X-Content-Type-Options: nosniff"));
    EXPECT_THAT(header, Not(HasSubstr("unsafe-inline")));
  }
  const std::string page = web_.get("/").body;
  EXPECT_THAT(page, Not(HasSubstr(" style=")));
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
  EXPECT_THAT(page, Not(HasSubstr("http://")));
  EXPECT_THAT(page, Not(HasSubstr("https://")));
}

TEST_F(WebServer, AnswersHeadWithoutABody) {
  const WebAnswer answer =
      web_.exchange("HEAD /jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
}

TEST_F(WebServer, RefusesWhatIsTooLongOrNoRequest) {
  EXPECT_EQ(web_.get("/", "X-Long: " + std::string(20'000, 'x') + "\r\n").status, 431);
  EXPECT_EQ(web_.exchange("nonsense\r\n\r\n").status, 400);
  EXPECT_EQ(web_.exchange("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").status, 413);
  EXPECT_EQ(web_.get("/jobs/99999999999999999999").status, 404);
  EXPECT_EQ(web_.get("/jobs/%00").status, 400);
  EXPECT_EQ(web_.get("/../../etc/passwd").status, 404);
}

TEST_F(WebServer, AnswersOthersWhileManyAreSilent) {
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 300; ++i) {
    silent.push_back(std::make_unique<Client>(web_.path()));
    silent.back()->send("GET / HT");
  }
  EXPECT_EQ(web_.get("/jobs").status, 200);
}

TEST_F(WebServer, SetsTheThemeInTheBrowserOnly) {
  const WebAnswer answer = web_.get("/theme?theme=dark&back=%2Fjobs");
  EXPECT_EQ(answer.status, 303);
  EXPECT_THAT(answer.header, HasSubstr("Location: /jobs"));
  EXPECT_THAT(answer.header, HasSubstr("Set-Cookie: theme=dark; Path=/; SameSite=Lax"));
  EXPECT_THAT(web_.get("/jobs", "Cookie: theme=dark\r\n").body, HasSubstr("data-theme=\"dark\""));
  EXPECT_THAT(web_.get("/jobs", "Cookie: theme=\"><script>\r\n").body, Not(HasSubstr("data-theme")));
}

TEST_F(WebServer, SendsChangesToThoseWhoFollow) {
  Client client(web_.path());
  client.send("GET /live?page=/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(client.read(": following"), HasSubstr("text/event-stream"));
  database_.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 'brand.new')");
  EXPECT_THAT(client.read("brand.new"), HasSubstr("event: page\ndata: "));
  EXPECT_EQ(web_.get("/live?page=/nothing").status, 404);
}

TEST_F(WebServer, EndsAtSigtermAlsoWithClients) {
  Client following(web_.path());
  following.send("GET /live?page=/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
  following.read(": following");
  const Client idle(web_.path());
  web_.program().signal(SIGTERM);
  const auto report = web_.program().reap_within(10s);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->signalled);
  EXPECT_EQ(report->code, 0);
  EXPECT_NE(::access(web_.path().c_str(), F_OK), 0) << "the socket is left behind";
}

TEST(WebListening, KnowsItselfByItsNamesOnly) {
  const TestDatabase database;
  // Another test may have the port that is free at this moment: then the next one is tried.
  const ProgramRun run =
      run_program({"bash", "-c",
                   "for port in 18{1..9}7{1..9}; do\n"
                   "  " POSTPONE_WEB " --listen 127.0.0.1:$port --host jobs.example & pid=$!\n"
                   "  for i in {1..100}; do curl -s -o /dev/null http://127.0.0.1:$port/api/openapi.json && "
                   "break; kill -0 $pid || break; "
                   "sleep 0.05; done\n"
                   "  kill -0 $pid 2> /dev/null || continue\n"
                   "  for host in localhost 127.0.0.1:$port jobs.example evil.example; do\n"
                   "    curl -s -o /dev/null -w \"$host %{http_code}\\n\" -H \"Host: $host\" "
                   "http://127.0.0.1:$port/jobs\n"
                   "  done | sed 's/:18[0-9]*//'\n"
                   "  kill $pid; wait $pid; exit\n"
                   "done"},
                  {.environment = {{"POSTPONE_DATABASE_URL", database.url()}}});
  EXPECT_EQ(run.output, "localhost 200\n127.0.0.1 200\njobs.example 200\nevil.example 421\n") << run.errors;
}

TEST(WebListening, RefusesToBeReachedFromElsewhereUnasked) {
  const ProgramRun run = run_program({POSTPONE_WEB, "--listen", "0.0.0.0:0"});
  EXPECT_EQ(run.exit_status, 3);
  EXPECT_THAT(run.errors, HasSubstr("whoever does reads everything"));
  EXPECT_EQ(run_program({POSTPONE_WEB, "--listen", "nowhere"}).exit_status, 3);
  EXPECT_EQ(run_program({POSTPONE_WEB, "--unknown"}).exit_status, 2);
}

TEST(WebRights, NeedsThoseOfTheMonitorOnly) {
  const PrivateServer server;
  const std::string url = server.url();
  ASSERT_EQ(run_program({POSTPONE_CLI, "schema", "apply", "--database-url", url}).exit_status, 0);
  ASSERT_EQ(run_program({POSTPONE_CLI, "schema", "roles", "--database-url", url}).exit_status, 0);
  server.execute("CREATE ROLE watcher LOGIN IN ROLE postpone_monitor");
  server.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('q', 't')");
  const WebProgram web(url + " user=watcher");
  for (const std::string& page : web_pages())
    EXPECT_EQ(web.get(page).status, 200) << page << web.get(page).body;
  EXPECT_EQ(web.get("/jobs/1").status, 200) << web.get("/jobs/1").body;
}

TEST(WebOutage, SaysThatTheDatabaseIsAwayAndComesBack) {
  PrivateServer server;
  const WebProgram web(server.url());
  EXPECT_THAT(web.get("/jobs").body, HasSubstr("postpone schema apply"));
  ASSERT_EQ(run_program({POSTPONE_CLI, "schema", "apply", "--database-url", server.url()}).exit_status, 0);
  EXPECT_EQ(web.get("/jobs").status, 200);
  server.stop("fast");
  const WebAnswer away = web.get("/jobs");
  EXPECT_EQ(away.status, 503);
  EXPECT_THAT(away.body, HasSubstr("The database does not answer"));
  EXPECT_THAT(web.get("/api/jobs").body, HasSubstr("\"error\""));
  server.start();
  EXPECT_EQ(web.get("/jobs").status, 200);
}

}  // namespace
}  // namespace postpone::tests

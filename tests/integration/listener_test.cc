#include "sql/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "sql/job_manager.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/private_server.h"
#include "tests/support/silence.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using tests::FrozenProcess;
using tests::SilentPort;
using tests::TestDatabase;

constexpr auto kPatience = 30s;

ListenOptions options_for(const std::string& url) {
  ListenOptions options;
  options.url = url;
  options.application_name = "listener test";
  return options;
}

// What an event loop does, for as long as a test wants: drives a listener and keeps what it says.
class Loop {
 public:
  explicit Loop(ListenOptions options) : listener(std::move(options)) {}

  // False when it has not come true in time.
  bool until(const std::function<bool()>& condition) {
    const auto end = Listener::Clock::now() + kPatience;
    while (!condition()) {
      if (Listener::Clock::now() > end) return false;
      turn();
    }
    return true;
  }

  bool until_established() {
    return until([this] { return listener.take_established(); });
  }

  bool until_heard(Notification::Type type, JobId id) {
    return until([&] {
      return std::any_of(heard.begin(), heard.end(),
                         [&](const Notification& one) { return one.type == type && one.job_id == id; });
    });
  }

  Listener listener;
  std::vector<Notification> heard;
  std::string failure;  // the last one

 private:
  void turn() {
    const Listener::Wants wants = listener.wants();
    const int events = (wants.read ? POLLIN : 0) | (wants.write ? POLLOUT : 0);
    pollfd one{.fd = listener.socket(), .events = static_cast<short>(events), .revents = 0};
    const auto wait =
        std::chrono::ceil<std::chrono::milliseconds>(listener.deadline() - Listener::Clock::now());
    poll(&one, 1, static_cast<int>(std::clamp(wait, 0ms, 100ms).count()));
    for (Notification& word : listener.advance(Listener::Clock::now())) heard.push_back(std::move(word));
    if (auto why = listener.take_failure()) failure = *std::move(why);
  }
};

class AListener : public testing::Test {
 protected:
  JobId defer(const std::string& queue) {
    DeferRequest request;
    request.task = "t";
    request.queue = queue;
    return manager.defer({request}).at(0);
  }
  std::string session(const std::string& column) const {
    return database.execute("select " + column + " from pg_stat_activity where datname = current_database()" +
                            " and application_name = 'listener test'");
  }
  static ConnectOptions connect_options(const TestDatabase& database) {
    ConnectOptions options;
    options.url = database.url();
    return options;
  }

  const TestDatabase database;
  JobManager manager = JobManager::connect(connect_options(database));
};

TEST_F(AListener, HearsOfEveryQueue) {
  Loop loop(options_for(database.url()));
  EXPECT_EQ(loop.listener.state(), Listener::State::waiting);
  EXPECT_EQ(loop.listener.socket(), -1);
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  EXPECT_EQ(loop.listener.state(), Listener::State::listening);
  EXPECT_FALSE(loop.listener.take_established()) << "once only";
  EXPECT_EQ(loop.failure, "");

  const JobId id = defer("kitchen");
  ASSERT_TRUE(loop.until_heard(Notification::Type::job_inserted, id));
  EXPECT_EQ(loop.heard.size(), 1U);
  EXPECT_EQ(loop.heard[0].queue, "kitchen");
  EXPECT_EQ(loop.heard[0].count, 1);
  EXPECT_FALSE(loop.heard[0].scheduled);
}

TEST_F(AListener, HearsOfItsQueuesOnly) {
  ListenOptions options = options_for(database.url());
  options.queues = {"kitchen", "it's a \"bar\""};
  Loop loop(options);
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  defer("garden");
  const JobId kitchen = defer("kitchen");
  const JobId bar = defer("it's a \"bar\"");
  ASSERT_TRUE(loop.until_heard(Notification::Type::job_inserted, kitchen));
  ASSERT_TRUE(loop.until_heard(Notification::Type::job_inserted, bar));
  EXPECT_EQ(loop.heard.size(), 2U);
}

TEST_F(AListener, HearsOfAQueueWhoseNameIsTooLongForAChannel) {
  const std::string queue(60, 'q');
  ListenOptions options = options_for(database.url());
  options.queues = {queue};
  Loop loop(options);
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  EXPECT_TRUE(loop.until_heard(Notification::Type::job_inserted, defer(queue)));
}

TEST_F(AListener, CountsTheJobsOfAStatement) {
  Loop loop(options_for(database.url()));
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  DeferRequest request;
  request.task = "t";
  manager.defer({request, request, request});
  ASSERT_TRUE(loop.until([&] { return !loop.heard.empty(); }));
  EXPECT_EQ(loop.heard[0].count, 3);
}

TEST_F(AListener, HearsThatAJobIsToStop) {
  Loop loop(options_for(database.url()));
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  const JobId id = defer("kitchen");
  const WorkerId worker = manager.register_worker({"s", "h", "n", 1});
  manager.finish_and_fetch(worker, {}, {.worker_id = worker, .max_jobs = 1});
  database.execute("UPDATE procrastinate_jobs SET abort_requested = true WHERE id = " + std::to_string(id));
  EXPECT_TRUE(loop.until_heard(Notification::Type::abort_job_requested, id));
}

TEST_F(AListener, HearsNothingOfAStopWhenARunnerItselfEndsItsJob) {
  Loop loop(options_for(database.url()));
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  const WorkerId worker = manager.register_worker({"s", "h", "n", 1});
  for (const auto& [action, deleted] : {std::pair(Action::succeed, false),
                                        {Action::succeed, true},
                                        {Action::fail, false},
                                        {Action::retry, false},
                                        {Action::abort, false}}) {
    defer("kitchen");
    const Job job =
        manager.finish_and_fetch(worker, {}, {.worker_id = worker, .max_jobs = 1}).fetched.jobs.at(0);
    Outcome outcome;
    outcome.job_id = job.id;
    outcome.attempt = job.attempts + 1;
    outcome.action = action;
    outcome.delete_job = deleted;
    if (action == Action::retry) outcome.retry_in = 24h;
    const auto recorded = manager.finish_and_fetch(worker, {.outcomes = {to_json(outcome)}},
                                                   {.worker_id = worker, .max_jobs = 0});
    EXPECT_EQ(recorded.recorded.at(0).disposition, Disposition::recorded);
  }
  // A worker of Procrastinate ends two of its own.
  const std::string python = database.execute("select worker_id from procrastinate_register_worker_v1()");
  for (const char* deleted : {"false", "true"}) {
    const std::string id = std::to_string(defer("kitchen"));
    database.execute("select * from procrastinate_fetch_job_v2(null, " + python + ")");
    database.execute("select procrastinate_finish_job_v1(" + id + ", 'succeeded', " + deleted + ")");
  }
  ASSERT_TRUE(loop.until_heard(Notification::Type::job_inserted, defer("garden")));
  for (const Notification& word : loop.heard) EXPECT_EQ(word.type, Notification::Type::job_inserted);
}

TEST_F(AListener, HearsThatAJobWasTakenFromItsRunner) {
  Loop loop(options_for(database.url()));
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  for (const std::string statement :
       {"update procrastinate_jobs set status = 'failed'", "update procrastinate_jobs set worker_id = null",
        "delete from procrastinate_workers", "delete from procrastinate_jobs"}) {
    const JobId id = defer("kitchen");
    const WorkerId lease = manager.register_worker({"s", "h", "n", 1});
    ASSERT_EQ(manager.finish_and_fetch(lease, {}, {.worker_id = lease, .max_jobs = 1}).fetched.jobs.size(),
              1U);
    database.execute(statement + (statement.ends_with("workers") ? " where id = " + std::to_string(lease)
                                                                 : " where id = " + std::to_string(id)));
    EXPECT_TRUE(loop.until_heard(Notification::Type::abort_job_requested, id)) << statement;
    loop.heard.clear();
  }
}

TEST_F(AListener, HearsAHundredThousandWordsAsAFew) {
  Loop loop(options_for(database.url()));
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  database.execute(
      "select pg_notify('procrastinate_any_queue_v1', "
      "format('{\"type\":\"abort_job_requested\",\"job_id\":%s}', n)) from generate_series(1, 100000) as n");
  const JobId id = defer("kitchen");
  ASSERT_TRUE(loop.until_heard(Notification::Type::job_inserted, id));
  EXPECT_EQ(loop.listener.heard(), 100'001U);
  EXPECT_LT(loop.heard.size(), 10'000U);
}

// Of a process that is stopped. Its backend would hold back vacuum.
TEST(Listening, TheServerDropsAConnectionThatNobodyReads) {
  // An address of its own, as others may listen on this port.
  const auto byte = [](int number) { return std::to_string(number % 250 + 1); };
  const std::string address = "127.77." + byte(::getpid() / 250) + "." + byte(::getpid());
  const tests::PrivateServer server(address);
  ListenOptions options =
      options_for("host=" + address + " user=postgres dbname=postgres port=" + server.execute("show port"));
  options.unread_timeout = 1s;
  Loop loop(options);
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  const auto sessions = [&] {
    return server.execute("select count(*) from pg_stat_activity where application_name = 'listener test'");
  };
  ASSERT_EQ(sessions(), "1");
  // From here on nobody drives the loop.
  EXPECT_TRUE(tests::eventually([&] {
    server.execute(
        "select pg_notify('procrastinate_any_queue_v1', repeat('x', 7000) || n || random())"
        " from generate_series(1, 500) as n");
    return sessions() == "0";
  }));
}

TEST_F(AListener, ConnectsAgainWhenItsSessionIsEnded) {
  Loop loop(options_for(database.url()));
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  EXPECT_EQ(loop.listener.reconnects(), 0);
  database.execute("select pg_terminate_backend(" + session("pid") + ", 30000)");
  ASSERT_TRUE(loop.until_established()) << "ring everybody: words may have been lost meanwhile";
  EXPECT_EQ(loop.listener.reconnects(), 1);
  EXPECT_THAT(loop.failure, HasSubstr("connection to the database was lost"));
  EXPECT_TRUE(loop.until_heard(Notification::Type::job_inserted, defer("kitchen")));
}

// On a server of its own: a session that is stopped while it looks at notifications holds up those of all databases.
TEST(Listening, NoticesThatTheServerHasFallenSilent) {
  const tests::PrivateServer server;
  ListenOptions options = options_for(server.url());
  options.probe_interval = 50ms;
  options.probe_timeout = 2s;
  Loop loop(options);
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  const FrozenProcess frozen(
      std::stoi(server.execute("select pid from pg_stat_activity where application_name = 'listener test'")));
  ASSERT_TRUE(loop.until_established());
  EXPECT_THAT(loop.failure, HasSubstr("fallen silent"));
  server.execute(
      "select pg_notify('procrastinate_any_queue_v1', '{\"type\":\"abort_job_requested\",\"job_id\":7}')");
  EXPECT_TRUE(loop.until_heard(Notification::Type::abort_job_requested, 7));
}

TEST_F(AListener, KeepsAConnectionThatAnswersItsProbes) {
  ListenOptions options = options_for(database.url());
  options.probe_interval = 1ms;
  Loop loop(options);
  ASSERT_TRUE(loop.until_established()) << loop.failure;
  const std::string first = session("query_start");
  ASSERT_TRUE(loop.until([&] { return session("query_start") > first; })) << "a probe";
  const std::string second = session("query_start");
  ASSERT_TRUE(loop.until([&] { return session("query_start") > second; }))
      << "another, so the first came back";
  EXPECT_EQ(loop.listener.reconnects(), 0);
  EXPECT_THAT(loop.heard, IsEmpty()) << "its own probes are not for others";
}

TEST_F(AListener, SaysThatItWasRefused) {
  Loop loop(options_for(database.url() + " user=nobody_of_that_name"));
  ASSERT_TRUE(loop.until([&] { return !loop.failure.empty(); }));
  EXPECT_EQ(loop.listener.state(), Listener::State::waiting);
  EXPECT_THAT(loop.failure, HasSubstr("\"nobody_of_that_name\" does not exist (SQLSTATE 28000)"));
  EXPECT_FALSE(loop.listener.take_established());
}

TEST(Listening, WaitsLongerAfterEachFailure) {
  ListenOptions options = options_for("host=/nonexistent");
  options.backoff_first = 100ms;
  options.backoff_most = 300ms;
  Listener listener(options);
  auto now = Listener::Clock::now();
  const std::pair<std::chrono::milliseconds, std::chrono::milliseconds> waits[] = {
      {50ms, 100ms}, {100ms, 200ms}, {150ms, 300ms}, {150ms, 300ms}};
  for (const auto& [least, most] : waits) {
    listener.advance(now);
    EXPECT_EQ(listener.state(), Listener::State::waiting);
    EXPECT_EQ(listener.socket(), -1);
    EXPECT_GE(listener.deadline() - now, least);
    EXPECT_LE(listener.deadline() - now, most);
    now = listener.deadline();
  }
  EXPECT_THAT(listener.take_failure(), testing::Optional(HasSubstr("cannot connect to the database")));
  EXPECT_EQ(listener.take_failure(), std::nullopt) << "once";
}

TEST(Listening, DoesNothingBeforeItsTime) {
  Listener listener(options_for("host=/nonexistent"));
  const auto now = Listener::Clock::now();
  listener.advance(now);
  const auto deadline = listener.deadline();
  listener.advance(now);
  EXPECT_EQ(listener.deadline(), deadline);
}

TEST(Listening, LeavesAServerThatTakesConnectionsAndSaysNothing) {
  const SilentPort silent;
  ListenOptions options = options_for("host=127.0.0.1 dbname=x port=" + std::to_string(silent.port()));
  Listener listener(options);
  auto now = Listener::Clock::now();
  listener.advance(now);
  EXPECT_EQ(listener.state(), Listener::State::connecting);
  EXPECT_GE(listener.socket(), 0);
  EXPECT_EQ(listener.deadline(), now + options.connect_timeout);
  listener.advance(now + options.connect_timeout);
  EXPECT_EQ(listener.state(), Listener::State::waiting);
  EXPECT_THAT(listener.take_failure(), testing::Optional(HasSubstr("does not answer within 10000 ms")));
}

TEST(Listening, NeverShowsAPassword) {
  Listener listener(options_for("postgresql://cook:hunter2@/kitchen?host=/nonexistent&frob=hunter2"));
  listener.advance(Listener::Clock::now());
  EXPECT_THAT(listener.take_failure(),
              testing::Optional(testing::AllOf(HasSubstr("the database url is not valid"),
                                               testing::Not(HasSubstr("hunter2")))));
}

}  // namespace
}  // namespace postpone::sql

// Everything but LISTEN through PgBouncer in transaction mode, with a single server session that all clients
// take turns on.
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "sql/bulk_changes.h"
#include "sql/connection.h"
#include "sql/job_manager.h"
#include "tests/support/database.h"
#include "tests/support/signals.h"

namespace postpone::sql {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using tests::TestDatabase;

// A private PgBouncer in front of the test server, in a directory of its own; as the user postgres when we
// are root, which it refuses to run as.
class PgBouncer {
 public:
  explicit PgBouncer(const TestDatabase& database) : directory_(make_directory()) {
    write("users.txt", "\"cook\" \"right\"\n\"postgres\" \"right\"\n");
    write("pgbouncer.ini", "[databases]\n* = host=" + database.execute("show unix_socket_directories") +
                               " port=" + database.execute("show port") +
                               " user=" + database.execute("select user") +
                               "\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = " + directory_ +
                               "\nlisten_port = 6432\npool_mode = transaction\ndefault_pool_size = 1\n"
                               "auth_type = plain\nauth_file = " +
                               directory_ + "/users.txt\nlogfile = " + directory_ + "/log\n");
    start();
    wait_until_it_answers();
  }
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;
  ~PgBouncer() {
    tests::send_signal(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    std::filesystem::remove_all(directory_);
  }

  std::string url(const std::string& database, const std::string& password = "right") const {
    return "host=" + directory_ + " port=6432 user=cook password=" + password + " dbname=" + database;
  }

 private:
  static std::string make_directory() {
    std::string name = "/tmp/postpone-bouncer.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    if (::geteuid() == 0) std::filesystem::permissions(name, std::filesystem::perms(0711));
    return name;
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
  }

  void start() {
    const passwd* const owner = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
    if (owner != nullptr && ::chown(directory_.c_str(), owner->pw_uid, owner->pw_gid) != 0) {
      throw std::runtime_error("chown failed");
    }
    pid_ = ::fork();
    if (pid_ != 0) return;
    if (owner != nullptr && (::initgroups("postgres", owner->pw_gid) != 0 || ::setgid(owner->pw_gid) != 0 ||
                             ::setuid(owner->pw_uid) != 0)) {
      ::_exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after setuid, which clears it
    const std::string configuration = directory_ + "/pgbouncer.ini";
    ::execl("/usr/sbin/pgbouncer", "pgbouncer", "--quiet", configuration.c_str(), nullptr);
    ::_exit(127);
  }

  void wait_until_it_answers() const {
    const auto end = std::chrono::steady_clock::now() + 30s;
    const std::string ping = url("postgres");
    while (PQping(ping.c_str()) != PQPING_OK) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("pgbouncer does not start");
      ::usleep(10'000);
    }
  }

  std::string directory_;
  pid_t pid_ = -1;
};

class ThroughPgBouncer : public testing::Test {
 protected:
  ConnectOptions options() const {
    ConnectOptions options;
    options.url = bouncer.url(database.name());
    return options;
  }
  JobManager connect() const { return JobManager::connect(options()); }

  const TestDatabase database;
  const PgBouncer bouncer{database};
};

DeferRequest request_of(const std::string& task) {
  DeferRequest request;
  request.task = task;
  return request;
}

std::string success_of(const Job& job) {
  Outcome outcome;
  outcome.job_id = job.id;
  outcome.attempt = job.attempts + 1;
  outcome.action = Action::succeed;
  return to_json(outcome);
}

TEST_F(ThroughPgBouncer, ClientsDoWhatTheyDo) {
  JobManager manager = connect();
  JobManager other = connect();
  BulkChanges set = BulkChanges::connect(options());
  DeferRequest later = request_of("later");
  later.scheduled_in = 3600s;
  const std::vector<JobId> ids = manager.defer({request_of("a"), request_of("b"), later});
  PeriodicDefer tick{request_of("tick"), "", 300};
  const auto periodic = other.defer_periodic(tick);
  ASSERT_TRUE(periodic);
  EXPECT_EQ(manager.defer_periodic(tick), std::nullopt);
  EXPECT_EQ(set.cancel({ids[0]}, false, false, false).at(0).what, JobChange::What::cancelled);
  EXPECT_EQ(set.retry({ids[0]}, {}, false, false).at(0).status, JobStatus::todo);
  EXPECT_THAT(other.list({.statuses = {JobStatus::todo}}), SizeIs(4));
  EXPECT_THAT(manager.events(ids[0]), Not(IsEmpty()));
  EXPECT_THAT(other.attempts(ids[0]), IsEmpty());
  EXPECT_EQ(manager.next_due(std::nullopt)->queues, std::vector<std::string>{"default"});
  EXPECT_GT(other.server_time(), SystemTime{});
}

TEST_F(ThroughPgBouncer, WorkersDoWhatTheyDo) {
  JobManager manager = connect();
  JobManager other = connect();
  const WorkerId first = manager.register_worker({"s", "h", "kitchen/1", 1});
  const WorkerId second = other.register_worker({"s", "h", "kitchen/2", 2});
  const std::vector<JobId> ids = manager.defer({request_of("a"), request_of("b"), request_of("c")});

  const auto one =
      manager.finish_and_fetch(first, {}, {.worker_id = first, .max_jobs = 1}).fetched.jobs.at(0);
  const auto two =
      other.finish_and_fetch(second, {}, {.worker_id = second, .max_jobs = 1}).fetched.jobs.at(0);
  EXPECT_EQ(one.id, ids[0]);
  EXPECT_EQ(two.id, ids[1]);
  EXPECT_THAT(manager.heartbeat({first, second}).stored, SizeIs(2));
  EXPECT_EQ(BulkChanges::connect(options()).cancel({two.id}, true, false, false).at(0).what,
            JobChange::What::abort_requested);
  EXPECT_EQ(other.jobs_to_stop({{first, one.id}, {second, two.id}}).at(0).job.job_id, two.id);
  EXPECT_THAT(manager.stalled_workers(3600s, true), IsEmpty());

  const auto next =
      manager.finish_and_fetch(first, {.outcomes = {success_of(one)}}, {.worker_id = first, .max_jobs = 1});
  EXPECT_EQ(next.recorded.at(0).status, JobStatus::succeeded);
  EXPECT_EQ(next.fetched.jobs.at(0).id, ids[2]);
  RescueRequest rescue;
  rescue.worker_id = second;
  EXPECT_THAT(manager.rescue_worker(rescue), SizeIs(1));
  other.unregister_worker(first);
  EXPECT_THAT(other.heartbeat({first, second}).stored, IsEmpty());
}

// PgBouncer hands one server session to several clients in turn, and this one's version knows no named
// statements.
TEST_F(ThroughPgBouncer, NoStatementIsLeftWithTheServer) {
  Connection one(options());
  Connection other(options());
  for (int i = 0; i < 3; ++i) {
    for (Connection* connection : {&one, &other}) {
      const auto results = connection->pipeline({Statement{"select $1::text", {"a"}, true}});
      EXPECT_EQ(results.front().only().get<std::string>(0), "a");
    }
  }
  EXPECT_EQ(one.query("select count(*) from pg_prepared_statements").only().get<std::int64_t>(0), 0);
}

TEST_F(ThroughPgBouncer, AFailedPipelineLeavesTheSharedSessionInOrder) {
  JobManager manager = connect();
  JobManager other = connect();
  const WorkerId worker = manager.register_worker({"s", "h", "kitchen/1", 1});
  manager.defer({request_of("a"), request_of("b")});
  const Job job =
      manager.finish_and_fetch(worker, {}, {.worker_id = worker, .max_jobs = 1}).fetched.jobs.at(0);
  const FetchRequest without_lease{.worker_id = worker + 1000, .max_jobs = 1};
  EXPECT_THROW(manager.finish_and_fetch(worker, {.outcomes = {success_of(job)}}, without_lease),
               DatabaseError);
  EXPECT_EQ(other.list({.id = job.id}).at(0).status, JobStatus::doing);
  EXPECT_THAT(
      manager.finish_and_fetch(worker, {.outcomes = {success_of(job)}}, {.worker_id = worker, .max_jobs = 1})
          .recorded,
      SizeIs(1));
}

TEST_F(ThroughPgBouncer, AWrongPasswordIsRefusedAndNotShown) {
  ConnectOptions options;
  options.url = bouncer.url(database.name(), "hunter2");
  try {
    JobManager::connect(options);
    FAIL() << "nothing was thrown";
  } catch (const DatabaseError& error) {
    EXPECT_EQ(error.remedy(), Remedy::bug) << error.what();
    EXPECT_THAT(error.what(), AllOf(HasSubstr("cannot connect to the database"), Not(HasSubstr("hunter2"))));
  }
}

}  // namespace
}  // namespace postpone::sql

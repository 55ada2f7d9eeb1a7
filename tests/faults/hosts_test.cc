// Hosts that are cut off from the server, and families that are frozen: what they ran is dead before anybody
// else runs it, they change nothing when they come back, and they come back by themselves.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "tests/faults/faults.h"
#include "tests/support/hosts.h"
#include "tests/support/private_server.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

using namespace std::chrono_literals;

// A server on a network of its own. The database of `Faults` is made on it.
class NetworkedServer {
 protected:
  NetworkedServer() : why_not_(why_no_hosts()) {
    if (!why_not_.empty()) return;
    hub_.emplace();
    const Inside inside(*hub_);
    server_.emplace("*");
    ::setenv("POSTPONE_TEST_SERVER", server_->url().c_str(), 1);
  }

  const std::string why_not_;
  std::optional<NetworkNamespace> hub_;
  std::optional<PrivateServer> server_;
};

const std::string kPatience = "[database]\nconnect_timeout = \"1s\"\nstatement_timeout = \"2s\"\n";
const std::string kLeases =
    "heartbeat_interval = \"500ms\"\nfence_after = \"1500ms\"\nstalled_after = \"3s\"\n";

// The first and the last sign of life of one execution. One that was killed has no end.
struct Execution {
  std::int64_t job_id = 0;
  int attempt = 0;
  std::int64_t first_ns = 0;
  std::int64_t last_ns = 0;
  bool ended = false;
};

std::vector<Execution> executions(const std::string& journal) {
  std::vector<Execution> found;
  std::map<pid_t, std::size_t> current;  // by task process
  for (const JournalLine& line : read_journal(journal)) {
    if (line.what == "start") {
      current[line.pid] = found.size();
      found.push_back({line.job_id, line.attempt, line.at_ns, line.at_ns, false});
    }
    Execution& execution = found.at(current.at(line.pid));
    execution.last_ns = std::max(execution.last_ns, line.at_ns);
    execution.ended |= line.what == "end";
  }
  std::sort(found.begin(), found.end(),
            [](const Execution& a, const Execution& b) { return a.first_ns < b.first_ns; });
  return found;
}

class Hosts : public NetworkedServer, public Faults {
 protected:
  void SetUp() override {
    if (!why_not_.empty()) GTEST_SKIP() << why_not_;
  }

  // One host, and the family that works there: sub-workers for queue "q", and one for a queue that nobody
  // else serves.
  struct Place {
    Place(const NetworkNamespace& hub, int number) : host(hub, number) {}
    const NetworkNamespace& network() const { return host.network(); }
    Host host;
    std::unique_ptr<Family> family;
    std::string own_queue;
  };

  Place place(int number, const std::string& config, int sub_workers = 1) const {
    Place place(*hub_, number);
    place.own_queue = "only" + std::to_string(number);
    const Inside inside(place.network());
    place.family = std::make_unique<Family>(
        "host=" + place.host.address_of_hub() + " user=postgres dbname=" + database_.name(),
        config + group("q", kTestTasks, sub_workers) + group(place.own_queue, kTestTasks, 1));
    place.family->wait_until_ready(sub_workers + 1);
    return place;
  }

  std::string beat(const std::string& more = "") const {
    return defer("test.beat", file_argument("journal"), ", lock => 'l'" + more);
  }
  std::vector<Execution> ran() const { return executions(files_.file("journal")); }
  bool runs_in_attempt(int attempt) const {
    return eventually([&] {
      const auto executions = ran();
      return !executions.empty() && executions.back().attempt == attempt;
    });
  }
  bool works(const Place& place) const {
    return becomes(sql("SELECT postpone_defer('test.tick', queue => '" + place.own_queue + "')"),
                   "succeeded");
  }
  std::string count(const std::string& rest) const { return sql("SELECT count(*) FROM " + rest); }
  // Lock by lock: nothing ran before what ran before it was dead, and successes come in the order of the
  // jobs.
  void expect_no_overlap_and_right_order() const;

  // The job of the lock 'l' was lost by one host, has then ended on another, and the two never ran at once.
  void expect_handed_over(const std::string& id) const {
    EXPECT_EQ(causes(id), "worker_lost succeeded");
    EXPECT_EQ(count("procrastinate_events WHERE type = 'succeeded' AND job_id = " + id), "1");
    const auto executions = ran();
    ASSERT_EQ(executions.size(), 2u);
    EXPECT_LT(executions[0].last_ns, executions[1].first_ns) << "no beat after the other's first";
    EXPECT_FALSE(executions[0].ended);
  }
};

void Hosts::expect_no_overlap_and_right_order() const {
  std::istringstream table(
      sql("SELECT string_agg(id || ' ' || lock, E'\\n') FROM procrastinate_jobs WHERE lock IS NOT NULL"));
  std::map<std::int64_t, std::string> lock_of;
  std::int64_t id = 0;
  while (table >> id) table >> lock_of[id];
  std::map<std::string, Execution> before;
  std::map<std::string, std::int64_t> done;
  for (const Execution& now : ran()) {
    const std::string& lock = lock_of.at(now.job_id);
    Execution& last = before[lock];
    EXPECT_LT(last.last_ns, now.first_ns)
        << lock << " was held by job " << last.job_id << ", attempt " << last.attempt << ", and by job "
        << now.job_id << ", attempt " << now.attempt;
    EXPECT_GE(now.job_id, done[lock]) << "the order of " << lock;
    if (now.last_ns > last.last_ns) last = now;
    if (now.ended) done[lock] = now.job_id;
  }
}

TEST_F(Hosts, ATaskOfACutOffHostIsDeadBeforeAnotherHostStartsItsJob) {
  const std::string config = kPatience + supervisor_keys(kLeases);
  const Place first = place(1, config);
  const auto id = beat();
  ASSERT_TRUE(runs_in_attempt(1));
  const Place second = place(2, config);
  first.host.cut();
  ASSERT_TRUE(runs_in_attempt(2)) << second.family->log();
  first.host.mend();
  EXPECT_TRUE(works(first)) << "it comes back by itself\n" << first.family->log();
  EXPECT_EQ(status(id), "doing") << "and leaves the job to whom it belongs";
  touch("journal.stop");
  EXPECT_TRUE(becomes(id, "succeeded")) << second.family->log();
  EXPECT_TRUE(works(second));
  expect_handed_over(id);
}

TEST_F(Hosts, CutOffInTurnTheyLoseNothingAndHoldNoLockTwice) {
  const std::string config = kPatience + supervisor_keys(kLeases + "[stalled]\nmax_stalled = 100");
  const Place places[] = {place(1, config, 3), place(2, config, 3)};
  constexpr int kRounds = 4;
  constexpr int kJobs = 48;
  for (int round = 0; round < kRounds; ++round) {
    const Place& victim = places[round % 2];
    const auto end = round < 2 ? Host::End::hub : Host::End::host;
    const std::string its =
        "postpone_workers WHERE supervisor LIKE '%:" + std::to_string(victim.family->pid()) + ":%'";
    sql("SELECT count(postpone_defer('test.beat', queue => 'q', lock => 'l' || i % 6, args => '{\"ms\": 40, "
        "\"file\": \"" +
        files_.file("journal") + "\"}')) FROM generate_series(1, " + std::to_string(kJobs) + ") i");
    ASSERT_TRUE(eventually([&] {
      return count("procrastinate_jobs WHERE status = 'doing' AND worker_id IN (SELECT worker_id FROM " +
                   its + ")") != "0";
    }));
    victim.host.cut(end);
    EXPECT_TRUE(eventually([&] { return count(its) == "0"; })) << "it is held for dead";
    victim.host.mend(end);
    EXPECT_TRUE(works(victim)) << victim.family->log();
  }
  EXPECT_TRUE(eventually([&] {
    return count("procrastinate_jobs WHERE lock IS NOT NULL AND status = 'succeeded'") ==
           std::to_string(kRounds * kJobs);
  }));
  EXPECT_EQ(count("(SELECT job_id FROM procrastinate_events WHERE type = 'succeeded' GROUP BY job_id HAVING "
                  "count(*) > 1) twice"),
            "0");
  EXPECT_NE(count("postpone_attempts WHERE cause = 'worker_lost'"), "0") << "something was taken over";
  expect_no_overlap_and_right_order();
}

// Its processes are thawed in the worst order: the task first, while nobody is there yet who could stop it.
TEST_F(Hosts, AFrozenFamilyThatWakesUpChangesNothing) {
  const std::string config = kPatience + supervisor_keys(kLeases);
  const Place first = place(1, config);
  const auto id = beat();
  ASSERT_TRUE(runs_in_attempt(1));
  const auto frozen = first.family->processes();
  for (const auto& [pid, title] : frozen) send_signal(pid, SIGSTOP);
  const Place second = place(2, config);
  ASSERT_TRUE(runs_in_attempt(2)) << second.family->log();
  for (const pid_t task : first.family->processes(kTestTasks)) send_signal(task, SIGCONT);
  for (const auto& [pid, title] : frozen) send_signal(pid, SIGCONT);
  EXPECT_TRUE(works(first)) << first.family->log();
  EXPECT_EQ(status(id), "doing");
  touch("journal.stop");
  EXPECT_TRUE(becomes(id, "succeeded")) << second.family->log();
  expect_handed_over(id);
}

TEST_F(Hosts, AShortCutCostsNothing) {
  const std::string config = kPatience + supervisor_keys(
                                             "heartbeat_interval = \"500ms\"\nfence_after = \"30s\"\n"
                                             "stalled_after = \"60s\"");
  const Place first = place(1, config);
  const Place second = place(2, config);
  const auto id = beat();
  ASSERT_TRUE(runs_in_attempt(1));
  const auto before = first.family->processes();
  first.host.cut();
  second.host.cut();
  // Long enough for everybody to find out.
  ASSERT_TRUE(eventually([&] { return first.family->log().find("does not answer") != std::string::npos; }))
      << first.family->log();
  touch("journal.stop");
  ASSERT_TRUE(eventually([&] { return !ran().empty() && ran().back().ended; }));
  EXPECT_EQ(status(id), "doing") << "nobody was told yet";
  first.host.mend();
  second.host.mend();
  EXPECT_TRUE(becomes(id, "succeeded")) << "the outcome was kept\n" << first.family->log();
  EXPECT_TRUE(works(first));
  EXPECT_TRUE(works(second));
  EXPECT_EQ(causes(id), "succeeded");
  EXPECT_EQ(ran().size(), 1u);
}

// The server has leased a job, and its answer is on the way for so long that another host has taken the job
// by then.
TEST_F(Hosts, AJobThatWasTakenByOthersBeforeTheAnswerToItsFetchCameIsNotRun) {
  const std::string patient =
      "[database]\nconnect_timeout = \"1s\"\n[supervisor]\npolling_interval = \"500ms\"\n" + kLeases;
  const Place first = place(1, patient);
  const auto sub_workers = first.family->processes("postpone: sub-worker q/");
  ASSERT_EQ(sub_workers.size(), 1u);
  // What it sends next is a fetch, and no rehearsal of one.
  ASSERT_TRUE(becomes(sql("SELECT postpone_defer('test.tick', queue => 'q')"), "succeeded"));
  send_signal(sub_workers.front(), SIGSTOP);
  first.host.deafen();
  const auto id = beat();
  send_signal(sub_workers.front(), SIGCONT);
  ASSERT_TRUE(becomes(id, "doing")) << first.family->log();
  const Place second = place(2, kPatience + supervisor_keys(kLeases));
  ASSERT_TRUE(runs_in_attempt(2)) << second.family->log();
  first.host.hear_again();
  EXPECT_TRUE(works(first)) << first.family->log();
  touch("journal.stop");
  EXPECT_TRUE(becomes(id, "succeeded")) << second.family->log();
  EXPECT_EQ(causes(id), "worker_lost succeeded");
  EXPECT_EQ(ran().size(), 1u) << "the first host never started it\n" << first.family->log();
}

}  // namespace
}  // namespace postpone::tests

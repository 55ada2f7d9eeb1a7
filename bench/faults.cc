// What faults cost: how soon another process goes on, and what is left of the throughput.
#include <sys/types.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <future>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "bench/figures.h"
#include "bench/stage.h"
#include "sql/schema.h"
#include "sys/backoff.h"
#include "sys/process.h"
#include "tests/support/eventually.h"
#include "tests/support/private_server.h"
#include "tests/support/signals.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;
using tests::eventually;

constexpr int kAnHour = 3'600'000;  // ms: a job that does not end by itself

void require(bool done, const std::string& what, const tests::Family& family) {
  if (!done) throw std::runtime_error(what + "\n" + family.log());
}

std::vector<tests::JournalLine> starts(const std::string& journal) {
  auto lines = tests::read_journal(journal);
  std::erase_if(lines, [](const tests::JournalLine& line) { return line.what != "start"; });
  return lines;
}

// Waits until `count` executions have begun, and returns the last one.
tests::JournalLine wait_for_start(const std::string& journal, std::size_t count,
                                  const tests::Family& family) {
  std::vector<tests::JournalLine> begun;
  require(eventually([&] { return (begun = starts(journal)).size() >= count; }, 120s), "no job starts",
          family);
  return begun.back();
}

pid_t parent_of(pid_t pid) {
  const std::string stat = tests::read_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

// --- rescue ---

// When the last event of a type was written, which is when its transaction began; ms since the epoch.
double last_event(Client& client, const std::string& type) {
  return std::stod(
      client.execute("SELECT 1000 * extract(epoch FROM at) FROM procrastinate_events WHERE type = '" + type +
                     "' ORDER BY id DESC LIMIT 1"));
}

struct RescueTimes {
  std::vector<double> noticed, rescued, fetched, whole;
};

// Kills the sub-worker that runs the one job there is, and waits until it runs again.
void kill_runner(Stage& stage, const tests::JournalLine& running, RescueTimes& times) {
  const auto wall_ms = [] {
    return Milliseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  const std::size_t before = starts(stage.journal()).size();  // now: afterwards the next may be among them
  const double killed_wall = wall_ms();
  const auto killed = now_ns();
  tests::send_signal(parent_of(running.pid), SIGKILL);
  const auto again = wait_for_start(stage.journal(), before + 1, stage.family);
  const double started_wall = killed_wall + ms_between(killed, again.at_ns);
  const double rescued = last_event(stage.client, "deferred_for_retry");
  const double fetched = last_event(stage.client, "started");
  times.noticed.push_back(rescued - killed_wall);
  times.rescued.push_back(fetched - rescued);
  times.fetched.push_back(started_wall - fetched);
  times.whole.push_back(ms_between(killed, again.at_ns));
}

}  // namespace

void rescue(int kills) {
  std::printf("rescue: SIGKILL of the sub-worker that runs a job, with 7 idle ones beside it\n");
  Stage stage("[stalled]\nmax_stalled = 1000\n");
  stage.defer("", kAnHour);
  RescueTimes times;
  for (int i = 0; i < kills; ++i) {
    stage.family.wait_until_ready(8 + i);  // the successors of those that were killed are idle, too
    kill_runner(stage, wait_for_start(stage.journal(), static_cast<std::size_t>(i) + 1, stage.family), times);
  }
  print_times("killed to started again", times.whole);
  print_times("  killed to rescue begun", times.noticed);
  print_times("  rescue begun to fetch begun", times.rescued);
  print_times("  fetch begun to handler started", times.fetched);
}

// --- takeover ---

void takeover(std::chrono::milliseconds stalled_after, int rounds) {
  const auto ms = [](std::chrono::milliseconds t) { return "\"" + std::to_string(t.count()) + "ms\"\n"; };
  const std::string config = kNoPolling + "heartbeat_interval = " + ms(stalled_after / 3) +
                             "fence_after = " + ms(stalled_after * 2 / 3) +
                             "stalled_after = " + ms(stalled_after) + tests::group("m", kMisbehave, 2);
  std::printf(
      "takeover: SIGKILL of a whole family; another supervisor starts its job, stalled_after = %.0f s\n",
      static_cast<double>(stalled_after.count()) / 1000);
  for (int round = 0; round < rounds; ++round) {
    const tests::TestDatabase database;
    const tests::TemporaryDirectory files;
    tests::Family victim(database.url(), config);
    victim.wait_until_ready(2);
    Client(database.url())
        .execute("SELECT postpone_defer('misbehave.journal', queue => 'm', lock => 'l', args => '{\"ms\": " +
                 std::to_string(kAnHour) + ", \"file\": \"" + files.file("journal") + "\"}')");
    wait_for_start(files.file("journal"), 1, victim);
    tests::Family heir(database.url(), config);
    heir.wait_until_ready(2);
    // The heir takes no worker for dead before it has watched it for `stalled_after`. The random rest makes
    // the kill fall at any moment between two heartbeats.
    std::this_thread::sleep_for(stalled_after * (1 + sys::chance()));
    const auto killed = now_ns();
    for (const auto& [pid, title] : victim.processes()) tests::send_signal(pid, SIGKILL);
    const auto again = wait_for_start(files.file("journal"), 2, heir);
    const double took = ms_between(killed, again.at_ns) / 1000;
    const double allowed = std::chrono::duration<double>(stalled_after).count();
    std::printf("  round %d: started again after %.2f s, stalled_after %+.2f s\n", round + 1, took,
                took - allowed);
    std::fflush(stdout);
  }
}

// --- kills ---

namespace {

// Sends SIGKILL to one of the family's sub-workers at random; it may be one that has only just been started.
void kill_one(const tests::Family& family, std::mt19937& random) {
  std::vector<pid_t> living = sys::children_of(family.pid());
  std::erase_if(living, [](pid_t pid) {
    return !tests::read_file("/proc/" + std::to_string(pid) + "/cmdline").starts_with("postpone: sub-worker");
  });
  if (living.empty()) return;
  tests::send_signal(living[std::uniform_int_distribution<std::size_t>(0, living.size() - 1)(random)],
                     SIGKILL);
}

struct Phase {
  double jobs_a_second = 0;
  int kills = 0;
};

// How many jobs end in so much time while one sub-worker is killed every `kill_interval` (zero: none).
Phase run_phase(Stage& stage, std::chrono::seconds length, std::chrono::milliseconds kill_interval,
                std::mt19937& random) {
  const auto succeeded = [&] {
    return std::stod(
        stage.client.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"));
  };
  Phase phase;
  const double before = succeeded();
  const auto begin = Clock::now();
  while (Clock::now() < begin + length) {
    if (kill_interval == 0ms) {
      std::this_thread::sleep_until(begin + length);
      break;
    }
    kill_one(stage.family, random);
    ++phase.kills;
    std::this_thread::sleep_until(begin + phase.kills * kill_interval);
  }
  phase.jobs_a_second = (succeeded() - before) / std::chrono::duration<double>(Clock::now() - begin).count();
  return phase;
}

void print_what_became_of_them(Stage& stage, int jobs, int kills) {
  const auto count = [&](const std::string& rest) {
    return stage.client.execute("SELECT count(*) FROM " + rest);
  };
  const auto succeeded = count("procrastinate_jobs WHERE status = 'succeeded'");
  const auto poison = count("postpone_attempts WHERE cause = 'poison'");
  const auto lost = count("postpone_attempts WHERE cause IN ('worker_lost', 'poison')");
  const auto twice = count(
      "(SELECT job_id FROM procrastinate_events WHERE type = 'succeeded' GROUP BY job_id HAVING count(*) > "
      "1) t");
  const auto other = count("postpone_attempts WHERE cause NOT IN ('worker_lost', 'poison', 'succeeded')");
  const bool right = twice == "0" && other == "0" && std::stoi(succeeded) + std::stoi(poison) == jobs;
  std::printf(
      "  %s of %d jobs succeeded, %s twice; %d kills cost %s attempts; given up as poison: %s; ended "
      "otherwise: %s%s\n",
      succeeded.c_str(), jobs, twice.c_str(), kills, lost.c_str(), poison.c_str(), other.c_str(),
      right ? "" : "  WRONG");
}

}  // namespace

void kills(std::chrono::seconds phase, int rounds) {
  constexpr int kJobMs = 50;
  constexpr auto kKillInterval = 100ms;
  std::printf("kills: 8 sub-workers work jobs of %d ms, undisturbed and with 10 SIGKILLs a second by turns\n",
              kJobMs);
  Stage stage;
  std::mt19937 random(1);
  const int jobs = static_cast<int>(2 * rounds * phase.count() * 8 * 1000 / kJobMs);  // never dry
  stage.client.execute("SELECT count(postpone_defer('misbehave.journal', queue => 'm', args => '{\"ms\": " +
                       std::to_string(kJobMs) + ", \"file\": \"" + stage.journal() +
                       "\"}')) FROM generate_series(1, " + std::to_string(jobs) + ")");
  std::this_thread::sleep_for(1s);  // every sub-worker has been rung
  double undisturbed = 0;
  double disturbed = 0;
  int kills = 0;
  for (int round = 1; round <= rounds; ++round) {
    const Phase quiet = run_phase(stage, phase, 0ms, random);
    const Phase killing = run_phase(stage, phase, kKillInterval, random);
    undisturbed += quiet.jobs_a_second;
    disturbed += killing.jobs_a_second;
    kills += killing.kills;
    std::printf("  round %d: %.1f jobs/s undisturbed, %.1f with %d kills: %.1f %%\n", round,
                quiet.jobs_a_second, killing.jobs_a_second, killing.kills,
                100 * killing.jobs_a_second / quiet.jobs_a_second);
    std::fflush(stdout);
  }
  std::printf("  in all: %.1f %%\n", 100 * disturbed / undisturbed);
  stage.wait_until_all_ended();
  print_what_became_of_them(stage, jobs, kills);
}

// --- return ---

void comeback(int restarts) {
  std::printf(
      "return: the server is stopped (fast) and started; from its first yes to the first job's start\n");
  tests::PrivateServer server;
  sql::ConnectOptions options;
  options.url = server.url();
  sql::apply_schema(options);
  const tests::TemporaryDirectory files;
  const std::string journal = files.file("journal");
  tests::Family family(server.url(), kNoPolling + tests::group("m", kMisbehave, 8));
  family.wait_until_ready(8);
  std::vector<double> times;
  for (int i = 0; i < restarts; ++i) {
    server.stop("fast");
    std::this_thread::sleep_for(500ms + i * 137ms);  // outages of many lengths, so that every wait is met
    auto starting = std::async(std::launch::async, [&] { server.start(); });
    require(eventually([&] { return PQping(server.url().c_str()) == PQPING_OK; }), "no server", family);
    const auto accepts = now_ns();
    Client client(server.url());
    client.execute("SELECT postpone_defer('misbehave.journal', queue => 'm', args => '{\"file\": \"" +
                   journal + "\"}')");
    times.push_back(ms_between(accepts, wait_for_start(journal, times.size() + 1, family).at_ns));
    starting.get();
    const std::string connected =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'postpone sub-worker%'";
    require(eventually([&] { return client.execute(connected) == "8"; }), "not all come back", family);
  }
  print_times("server accepts to handler started", times);
}

}  // namespace postpone::bench

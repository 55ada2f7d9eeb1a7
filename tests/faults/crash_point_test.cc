// Every named place where a process may die (sys/crash_point.h), and everybody who may die there. Whoever it
// is: each job succeeds once, is accounted for in each of its attempts, and no two jobs of a lock run at a
// time; and nothing stays behind.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/faults/faults.h"
#include "tests/support/signals.h"

namespace postpone::tests {
namespace {

enum class Victim { self, child, parent };

struct Death {
  const char* place;
  Victim victim;
};

std::string to_string(Victim victim) {
  return victim == Victim::self ? "self" : victim == Victim::child ? "child" : "parent";
}

void PrintTo(const Death& death, std::ostream* out) {
  *out << death.place << " kills " << to_string(death.victim);
}

// The child of a sub-worker is its task process, its parent the supervisor. The children of a supervisor are
// all of the family.
constexpr Death kDeaths[] = {
    {"sub_worker.task_spawned", Victim::self},
    {"sub_worker.task_spawned", Victim::child},
    {"sub_worker.task_spawned", Victim::parent},
    {"sub_worker.lease_registered", Victim::self},
    {"sub_worker.lease_registered", Victim::parent},
    {"sub_worker.exchange_committed", Victim::self},
    {"sub_worker.exchange_committed", Victim::child},
    {"sub_worker.exchange_committed", Victim::parent},
    {"sub_worker.job_on_board", Victim::self},
    {"sub_worker.job_on_board", Victim::child},
    {"sub_worker.job_on_board", Victim::parent},
    {"sub_worker.job_sent", Victim::self},
    {"sub_worker.job_sent", Victim::child},
    {"sub_worker.job_sent", Victim::parent},
    {"sub_worker.set_on_board", Victim::self},
    {"sub_worker.set_on_board", Victim::child},
    {"sub_worker.set_on_board", Victim::parent},
    {"sub_worker.set_sent", Victim::self},
    {"sub_worker.set_sent", Victim::child},
    {"sub_worker.set_sent", Victim::parent},
    {"sub_worker.set_ended", Victim::self},
    {"sub_worker.set_ended", Victim::child},
    {"sub_worker.set_ended", Victim::parent},
    {"sub_worker.success_on_board", Victim::self},
    {"sub_worker.success_on_board", Victim::child},
    {"sub_worker.success_on_board", Victim::parent},
    {"sub_worker.progress_stored", Victim::self},
    {"sub_worker.progress_stored", Victim::child},
    {"sub_worker.progress_stored", Victim::parent},
    {"sub_worker.value_received", Victim::self},
    {"sub_worker.value_received", Victim::child},
    {"sub_worker.value_received", Victim::parent},
    {"sub_worker.result_received", Victim::self},
    {"sub_worker.result_received", Victim::child},
    {"sub_worker.result_received", Victim::parent},
    {"sub_worker.outcome_on_board", Victim::self},
    {"sub_worker.outcome_on_board", Victim::child},
    {"sub_worker.outcome_on_board", Victim::parent},
    {"sub_worker.task_killed", Victim::self},
    {"sub_worker.beside_run_committed", Victim::self},
    {"sub_worker.beside_run_committed", Victim::child},
    {"sub_worker.beside_run_committed", Victim::parent},
    {"sub_worker.task_permit_taken", Victim::self},
    {"sub_worker.task_permit_taken", Victim::child},
    {"sub_worker.task_permit_taken", Victim::parent},
    {"sub_worker.task_permit_freed", Victim::self},
    {"sub_worker.task_permit_freed", Victim::child},
    {"sub_worker.task_permit_freed", Victim::parent},
    {"sub_worker.lease_deleted", Victim::self},
    {"database.statements_sent", Victim::self},
    {"database.statements_sent", Victim::parent},
    {"supervisor.sub_worker_spawned", Victim::self},
    {"supervisor.sub_worker_spawned", Victim::child},
    {"supervisor.notification_heard", Victim::self},
    {"supervisor.notification_heard", Victim::child},
    {"supervisor.member_reaped", Victim::self},
    {"supervisor.member_reaped", Victim::child},
    {"supervisor.orphans_killed", Victim::self},
    {"supervisor.orphans_killed", Victim::child},
    {"supervisor.check_begun", Victim::self},
    {"supervisor.check_begun", Victim::child},
    {"supervisor.configuration_taken", Victim::self},
    {"supervisor.configuration_taken", Victim::child},
    {"supervisor.told_to_leave", Victim::self},
    {"supervisor.told_to_leave", Victim::child},
    {"supervisor.grave_filled", Victim::self},
    {"supervisor.grave_filled", Victim::child},
    {"housekeeper.heartbeat_committed", Victim::self},
    {"housekeeper.heartbeat_committed", Victim::parent},
    {"housekeeper.grave_found", Victim::self},
    {"housekeeper.grave_found", Victim::parent},
    {"housekeeper.rescue_committed", Victim::self},
    {"housekeeper.rescue_committed", Victim::parent},
    {"housekeeper.rescue_flushed", Victim::self},
    {"housekeeper.tick_deferred", Victim::self},
};

// Places that are reached in their own time, though all jobs may be done before: those of a reload, and a
// schedule's next second.
bool may_come_after_the_jobs(const Death& death) {
  const std::string place = death.place;
  return place == "supervisor.check_begun" || place == "supervisor.configuration_taken" ||
         place == "supervisor.told_to_leave" || place == "housekeeper.tick_deferred";
}

class CrashPoint : public Faults, public testing::WithParamInterface<Death> {
 protected:
  static constexpr int kJobs = 24;

  // Sub-workers for jobs that write a journal, and one with a schedule. Whoever is silent is soon held for
  // dead.
  static bool is_of_a_set() {
    const std::string place = GetParam().place;
    return place == "sub_worker.beside_run_committed" || place == "sub_worker.success_on_board" ||
           place.starts_with("sub_worker.set_");
  }
  // Two of the three runners may run a job at a time.
  static bool is_of_a_limit() {
    const std::string place = GetParam().place;
    return place.starts_with("sub_worker.task_permit_");
  }
  // Of jobs that take long enough to tell how far they are.
  static bool is_of_progress() { return std::string(GetParam().place) == "sub_worker.progress_stored"; }
  static int ms_of_long_jobs() { return is_of_progress() ? 1300 : is_of_a_set() ? 300 : 60; }
  // One alone takes sets for sure.
  static int runners() { return is_of_a_set() ? 1 : 3; }
  static std::string config(const std::string& more = "") {
    const std::string horizon = is_of_a_set() ? "prefetch_horizon = \"200ms\"\n" : "";
    const std::string limit = is_of_a_limit() ? "environment = { MISBEHAVE_JOURNALS = \"2\" }\n" : "";
    return supervisor_keys(kShortSilence) + group("q", kMisbehave, runners(), horizon + limit + more) +
           group("default", kTestTasks, 1);
  }
  std::string journal() const { return files_.file("journal"); }
  bool has_died() const { return !std::filesystem::exists(files_.file("token")); }

  // The first half is short, so that sub-workers take several at once; the others outlast the horizon.
  void defer_jobs() const {
    sql("SELECT count(postpone_defer('misbehave.journal', queue => 'q', lock => (ARRAY['a', 'b', NULL])[1 + "
        "n % 3], "
        "args => '" +
        (R"({"file": ")" + journal() + R"("})") +
        "'::jsonb || jsonb_build_object('ms', CASE WHEN n > 12 THEN " + std::to_string(ms_of_long_jobs()) +
        " ELSE 0 END, 'gives', n % 2 = 0" + (is_of_a_set() ? " AND n > 12" : "") +
        "))) FROM generate_series(1, " + std::to_string(kJobs) + ") AS n");
  }
  bool all_succeeded() const {
    return sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name = 'q' AND status = 'succeeded'") ==
           std::to_string(kJobs);
  }
  // Everybody works with a new configuration in the end.
  void reload(Family& family) const {
    eventually([&] { return family.log().find(" is ready") != std::string::npos || !family.lives(); });
    family.rewrite(config("max_jobs = 5"));
    if (family.lives()) family.signal(SIGHUP);
  }
  // A death that every place of a rescue needs, besides the one that the test is about.
  // Not to be had when the family ends, or the jobs do, before.
  void kill_a_runner(Family& family) const {
    eventually([&] {
      const pid_t runner = runner_of(family, "misbehave.journal");
      return (runner != 0 && send_signal(runner, SIGKILL)) || all_succeeded() || !family.lives();
    });
  }

  void expect_that_every_attempt_is_accounted_for() const;
  void expect_that_no_lock_was_held_twice() const;
  void expect_that_results_are_those_of_the_last_attempts() const;
};

void CrashPoint::expect_that_results_are_those_of_the_last_attempts() const {
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_jobs WHERE queue = 'q' AND (args ->> 'gives')::boolean AND "
                "(result ->> "
                "'attempt')::int = attempts AND progress = '1 of 2: half'"),
            is_of_a_set() ? "6" : "12");
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_results"), is_of_a_set() ? "6" : "12")
      << "the others left nothing";
}

void CrashPoint::expect_that_every_attempt_is_accounted_for() const {
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_jobs AS job WHERE queue_name = 'q' AND attempts <> "
                "(SELECT count(*) FROM postpone_attempts WHERE job_id = job.id)"),
            "0");
  EXPECT_EQ(sql("SELECT count(*) FROM postpone_attempts JOIN procrastinate_jobs ON job_id = id WHERE cause = "
                "'succeeded' AND queue_name = 'q'"),
            std::to_string(kJobs));
  std::map<std::int64_t, int> ended;
  for (const JournalLine& line : read_journal(journal()))
    if (line.what == "end") ++ended[line.job_id];
  EXPECT_EQ(ended.size(), static_cast<std::size_t>(kJobs)) << "what is recorded as succeeded was really run";
}

// Lines of one lock, in the order of time: after a start comes its own end, or (its process was killed)
// another start.
void CrashPoint::expect_that_no_lock_was_held_twice() const {
  std::map<std::string, std::vector<JournalLine>> by_lock;
  for (const JournalLine& line : read_journal(journal()))
    by_lock[sql("SELECT lock FROM procrastinate_jobs WHERE id = " + std::to_string(line.job_id))].push_back(
        line);
  by_lock.erase("");
  EXPECT_EQ(by_lock.size(), 2u);
  for (auto& [lock, lines] : by_lock) {
    std::stable_sort(lines.begin(), lines.end(),
                     [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; });
    const JournalLine* running = nullptr;
    for (const JournalLine& line : lines) {
      if (line.what == "start") {
        running = &line;
        continue;
      }
      ASSERT_TRUE(running && running->job_id == line.job_id && running->pid == line.pid)
          << "job " << line.job_id << " of lock " << lock << " ended while another one ran";
      running = nullptr;
    }
  }
}

TEST_P(CrashPoint, CostsNoJobAndNoLock) {
  std::fclose(std::fopen(files_.file("token").c_str(), "w"));
  FamilyOptions options;
  options.program = POSTPONE_CRASHING_SUPERVISOR;
  options.environment = {{"POSTPONE_CRASH_POINT", GetParam().place},
                         {"POSTPONE_CRASH_VICTIM", to_string(GetParam().victim)},
                         {"POSTPONE_CRASH_TOKEN", files_.file("token")}};
  Family family(database_.url(), config(), options);
  std::optional<Family> successor;
  defer_jobs();
  // A fresh sub-worker begins with one job at a time, and may not come to more.
  if (!is_of_a_set()) {
    reload(family);
    kill_a_runner(family);
  }
  EXPECT_TRUE(eventually(
      [&] {
        if (!family.lives() && !successor) successor.emplace(database_.url(), config());
        return all_succeeded();
      },
      std::chrono::seconds(100)))
      << family.log();
  expect_that_every_attempt_is_accounted_for();
  expect_that_no_lock_was_held_twice();
  expect_that_results_are_those_of_the_last_attempts();
  if (may_come_after_the_jobs(GetParam())) {
    EXPECT_TRUE(eventually([&] { return has_died(); })) << family.log();
  }

  if (family.lives()) family.signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return !family.lives() && family.processes().empty(); })) << family.log();
  EXPECT_TRUE(has_died()) << "the place was never reached\n" << family.log();
  if (!successor) successor.emplace(database_.url(), config());
  successor->wait_until_ready(runners() + 1);
  EXPECT_TRUE(eventually([&] {
    return sql("SELECT count(*) FROM procrastinate_workers") == std::to_string(runners() + 1);
  })) << "only the leases of the living are left";
  EXPECT_EQ(successor->stop().code, 0);
  EXPECT_EQ(sql("SELECT count(*) FROM procrastinate_workers"), "0");
}

INSTANTIATE_TEST_SUITE_P(Everywhere, CrashPoint, testing::ValuesIn(kDeaths), [](const auto& death) {
  std::string name = std::string(death.param.place) + "_kills_" + to_string(death.param.victim);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});

}  // namespace
}  // namespace postpone::tests

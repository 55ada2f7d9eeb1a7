// What it costs that the housekeeper removes jobs that ended long ago.
#include <csignal>
#include <cstdio>

#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/eventually.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kSubWorkers = 8;
const std::string kRetention = "[retention]\nsucceeded = \"1d\"\n";

// With the events and attempts of jobs that were run once.
void write_ended(Client& client, int jobs) {
  client.execute(
      "SET session_replication_role = replica");  // without the triggers, whose events are of today
  client.execute(
      "INSERT INTO procrastinate_jobs (queue_name, task_name, status, attempts) SELECT 'm', "
      "'misbehave.noop', "
      "'succeeded', 1 FROM generate_series(1, " +
      std::to_string(jobs) + ")");
  client.execute(
      "INSERT INTO procrastinate_events (job_id, type, at) SELECT id, type, now() - interval '2 days' FROM "
      "procrastinate_jobs, unnest(ARRAY['deferred', 'started', 'succeeded']::procrastinate_job_event_type[]) "
      "AS type ORDER BY id");
  client.execute(
      "INSERT INTO postpone_attempts (job_id, attempt, cause, run_time, worker_name, ended_at) SELECT id, 1, "
      "'succeeded', 0.001, 'm/1', now() - interval '2 days' FROM procrastinate_jobs");
  client.execute("RESET session_replication_role");
  client.execute("VACUUM ANALYZE procrastinate_jobs, procrastinate_events, postpone_attempts");
}

// The sections of a configuration as Stage has them. REQUIRES: others than are in force, or nobody is replaced.
void reload(Stage& stage, const std::string& sections) {
  const auto before = stage.family.processes("postpone: housekeeper");
  stage.family.rewrite(kNoPolling + sections + tests::group("m", kMisbehave, kSubWorkers));
  stage.family.signal(SIGHUP);
  require(tests::eventually([&] {
            const auto now = stage.family.processes("postpone: housekeeper");
            return now.size() == 1 && now != before;
          }),
          "the housekeeper is not replaced", stage.family);
}

}  // namespace

void retention(int ended, int jobs) {
  std::printf(
      "retention: %d no-op jobs under 8 sub-workers, in turn without retention and while %d jobs that ended "
      "long ago are removed\n",
      jobs, ended);
  Stage stage("", kSubWorkers);
  write_ended(stage.client, ended);
  const auto left = [&] {
    return std::stoll(
        stage.client.execute("SELECT count(*) FROM procrastinate_events WHERE type = 'deferred' AND at < "
                             "now() - interval '1 day'"));
  };
  std::vector<double> without, with, removed_per_second;
  while (left() > 0 || with.empty()) {
    without.push_back(stage.jobs_per_second(jobs));
    const auto before = left();
    reload(stage, kRetention);
    const auto begin = Clock::now();
    with.push_back(stage.jobs_per_second(jobs));
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    reload(stage, "");
    const auto after = left();
    if (after > 0) removed_per_second.push_back(static_cast<double>(before - after) / seconds);
    std::printf("  without %6.0f jobs/s, beside %6.0f jobs/s, %lld left\n", without.back(), with.back(),
                static_cast<long long>(after));
    std::fflush(stdout);
  }
  std::printf("  ratio of the medians: %.1f %%", 100 * median(with) / median(without));
  if (!removed_per_second.empty())
    std::printf("; %.0f jobs removed a second meanwhile", median(removed_per_second));
  std::printf("\n");
}

}  // namespace postpone::bench

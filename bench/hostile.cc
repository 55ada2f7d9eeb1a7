// What it costs when the tables hold rows that no program of ours would write.
#include <cstdio>
#include <stdexcept>

#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/eventually.h"
#include "tests/support/hostile_rows.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;

// Jobs and what belongs to them, in the queue of the family and in others.
void write_hostile_rows(Stage& stage, int jobs, std::uint64_t seed) {
  tests::HostileRows rows(seed);
  rows.queues = {"m"};
  stage.client.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER");
  for (const std::string& statement : rows.statements(jobs)) stage.client.execute(statement);
  stage.client.execute("ALTER TABLE procrastinate_jobs ENABLE TRIGGER USER");
}

// Jobs a second, until the last of the ordinary ones has ended.
double run_ordinary_jobs(Stage& stage, int jobs) {
  const auto first = stage.client.execute("SELECT nextval('procrastinate_jobs_id_seq')");
  const auto last = stage.client.execute(
      "SELECT max(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, " +
      std::to_string(jobs) + ")");
  const auto begin = Clock::now();
  const auto none_left = [&] {
    return stage.client.execute(
               "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND id BETWEEN " +
               first + " AND " + last) == "0";
  };
  if (!tests::eventually(none_left, 300s))
    throw std::runtime_error("jobs do not end:\n" + stage.family.log());
  return jobs / std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

void hostile(int jobs, int hostile_jobs, int rounds) {
  std::printf(
      "hostile: %d no-op jobs under 8 sub-workers, beside none and beside %d jobs of hostile rows, in turn\n",
      jobs, hostile_jobs);
  Stage stage;
  for (const char* table : {"jobs", "events", "workers", "periodic_defers"})
    stage.client.execute(std::string("SELECT setval(pg_get_serial_sequence('procrastinate_") + table +
                         "', 'id'), 1000000)");
  const std::string ours =
      stage.client.execute("SELECT string_agg(id::text, ',') FROM procrastinate_workers");
  std::vector<double> alone, beside;
  for (int round = 1; round <= rounds; ++round) {
    for (const bool with_hostile : {false, true}) {
      stage.client.execute("TRUNCATE procrastinate_jobs CASCADE");
      stage.client.execute("DELETE FROM procrastinate_workers WHERE id <> ALL ('{" + ours + "}')");
      if (with_hostile) write_hostile_rows(stage, hostile_jobs, static_cast<std::uint64_t>(round));
      const double rate = run_ordinary_jobs(stage, jobs);
      (with_hostile ? beside : alone).push_back(rate);
      std::printf("  round %2d, %s: %6.0f jobs/s\n", round, with_hostile ? "beside hostile rows" : "alone",
                  rate);
      std::fflush(stdout);
    }
  }
  std::printf("  ratio of the medians: %.1f %%\n", 100 * median(beside) / median(alone));
}

}  // namespace postpone::bench

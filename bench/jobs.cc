// How soon jobs start, and how many can be run.
#include <cstdio>
#include <stdexcept>

#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/eventually.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;
using tests::eventually;

}  // namespace

void latency(int jobs) {
  std::printf(
      "latency: from the answer to the defer (the commit) to the first instruction of the handler, 8 idle "
      "sub-workers\n");
  Stage stage;
  Client listener(stage.database.url());
  listener.execute("LISTEN bare");
  std::vector<double> notifications;
  std::vector<std::int64_t> committed;
  for (int i = 0; i < jobs; ++i) {
    stage.defer();
    committed.push_back(now_ns());
    stage.wait_until_all_ended();
    const auto sent = now_ns();
    stage.client.execute("NOTIFY bare");
    listener.wait_for_notification();
    notifications.push_back(ms_between(sent, now_ns()));
  }
  const std::vector<double> starts = stage.ms_to_start(committed);
  print_times("defer committed to handler started", starts);
  print_times("bare NOTIFY sent to received", notifications);
  // A fetch is committed, and so on disk, before its job runs: where the disk is slow, this is most of the
  // latency.
  print_times("one flush of this disk (fdatasync)", flush_times(100));
  std::printf("  ratio of the medians: %.2f\n", median(starts) / median(notifications));
}

void locks(int rounds) {
  std::printf(
      "locks: four no-op jobs of one lock under 8 idle sub-workers, from the commit of the last defer\n");
  Stage stage;
  std::vector<double> chains, late;
  for (int i = 0; i < rounds; ++i) {
    stage.client.execute(
        "SELECT count(postpone_defer('misbehave.journal', queue => 'm', lock => 'l', args => '{\"file\": \"" +
        stage.journal() + "\"}')) FROM generate_series(1, 4)");
    const auto committed = now_ns();
    stage.wait_until_all_ended();
    chains.push_back(ms_between(committed, stage.times_of("end").back()));
  }
  print_times("all four ended", chains);

  std::vector<double> retries;
  for (int i = 0; i < rounds; ++i) {
    const auto id = stage.client.execute("SELECT postpone_defer('misbehave.once', queue => 'm')");
    stage.wait_until_all_ended();
    retries.push_back(
        std::stod(stage.client.execute("SELECT 1000 * extract(epoch FROM max(at) FILTER (WHERE type = "
                                       "'started') - max(at) FILTER (WHERE type = "
                                       "'deferred_for_retry')) FROM procrastinate_events WHERE job_id = " +
                                       id)));
  }
  print_times("retry without wait, recorded to started again", retries);

  for (int i = 0; i < rounds; ++i) {
    const auto id = stage.defer(", scheduled_at => clock_timestamp() + interval '150 ms'");
    stage.wait_until_all_ended();
    late.push_back(std::stod(stage.client.execute(
        "SELECT 1000 * extract(epoch FROM max(e.at) FILTER (WHERE e.type = 'started') - max(j.scheduled_at)) "
        "FROM "
        "procrastinate_events e JOIN procrastinate_jobs j ON j.id = e.job_id WHERE j.id = " +
        id)));
  }
  print_times("scheduled job, due to started", late);
}

void letters(int rounds) {
  std::printf(
      "letters: four jobs of random length under one lock, two supervisors with 4 sub-workers each\n");
  const tests::TestDatabase database;
  const tests::TemporaryDirectory files;
  const std::string config = kNoPolling + tests::group("letters", POSTPONE_EXAMPLES_DIR "/letters", 4);
  tests::Family one(database.url(), config);
  tests::Family two(database.url(), config);
  one.wait_until_ready(4);
  two.wait_until_ready(4);
  Client client(database.url());
  int right = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string file = files.file(std::to_string(round));
    for (const char* letter : {"a", "b", "c", "d"}) {
      client.execute(std::string("SELECT postpone_defer('letters.append', queue => 'letters', lock => 'l', "
                                 "args => '{\"letter\": \"") +
                     letter + "\", \"max_ms\": 50, \"file\": \"" + file + "\"}')");
    }
    eventually([&] {
      return client.execute("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')") ==
             "0";
    });
    right += tests::read_file(file) == "abcd" ? 1 : 0;
  }
  std::printf("  abcd %d times out of %d\n", right, rounds);
}

void throughput(int jobs, int rounds) {
  std::printf("throughput: %d no-op jobs under 8 sub-workers, %d rounds\n", jobs, rounds);
  Stage stage;
  for (int round = 1; round <= rounds; ++round) {
    stage.client.execute("TRUNCATE procrastinate_jobs CASCADE");
    const double rate = stage.jobs_per_second(jobs);
    const auto once = stage.client.execute(
        "SELECT count(*) FROM (SELECT job_id FROM procrastinate_events GROUP BY job_id HAVING "
        "count(*) FILTER (WHERE type = 'started') = 1 + count(*) FILTER (WHERE type = 'deferred_for_retry') "
        "AND "
        "count(*) FILTER (WHERE type = 'succeeded') = 1) once");
    std::printf("  round %2d: %6.0f jobs/s, %s of %d ran exactly once%s\n", round, rate, once.c_str(), jobs,
                once == std::to_string(jobs) ? "" : "  WRONG");
    if (once != std::to_string(jobs)) std::printf("%s\n", stage.family.log().c_str());
    std::fflush(stdout);
  }
}

}  // namespace postpone::bench

// What it costs when a role that may connect to the database sends notifications that only its triggers
// should.
#include <atomic>
#include <cstdio>
#include <map>
#include <optional>
#include <stdexcept>
#include <thread>

#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/eventually.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kPause = 5ms;      // between two jobs
constexpr auto kAround = 1500ms;  // jobs are deferred for so long after the commit of the flood
constexpr auto kBetween = 500ms;

// In one transaction, so that all of them arrive at once.
void flood(const std::string& url, int notifications) {
  Client stranger(url);
  stranger.execute(
      "SELECT count(pg_notify('procrastinate_any_queue_v1', "
      "format('{\"type\":\"abort_job_requested\",\"job_id\":%s}',"
      " n))) FROM generate_series(1, " +
      std::to_string(notifications) + ") AS n");
}

}  // namespace

void foreign_notifications(int notifications, int rounds) {
  std::printf(
      "flood: %d abort notifications of a stranger in one transaction, %d times; from the answer to a defer "
      "to the "
      "first instruction of its handler meanwhile, 8 sub-workers, one of them at a long job\n",
      notifications, rounds);
  Stage stage;
  const std::string victim = stage.client.execute(
      "SELECT postpone_defer('misbehave.wait', queue => 'm', args => "
      "'{\"ms\": 3600000}')");
  const auto status = [&] {
    return stage.client.execute("SELECT status FROM procrastinate_jobs WHERE id = " + victim);
  };
  if (!tests::eventually([&] { return status() == "doing"; })) throw std::runtime_error(stage.family.log());
  std::map<std::int64_t, std::int64_t> committed;  // by job
  for (int round = 0; round < rounds; ++round) {
    std::thread stranger([&] { flood(stage.database.url(), notifications); });
    std::atomic<bool> sent = false;
    std::thread watch([&] {
      stranger.join();
      sent = true;
    });
    std::optional<Clock::time_point> end;
    while (!end || Clock::now() < *end) {
      if (sent && !end) end = Clock::now() + kAround;
      const std::int64_t id = std::stoll(stage.defer());
      committed[id] = now_ns();
      std::this_thread::sleep_for(kPause);
    }
    watch.join();
    std::this_thread::sleep_for(kBetween);
  }
  const auto ended = [&] {
    return stage.client.execute(
               "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')") == "1";
  };
  if (!tests::eventually(ended)) throw std::runtime_error(stage.family.log());
  std::vector<double> starts;
  for (const tests::JournalLine& line : tests::read_journal(stage.journal()))
    if (line.what == "start" && committed.contains(line.job_id))
      starts.push_back(ms_between(committed[line.job_id], line.at_ns));
  print_times("defer committed to handler started", starts);
  std::printf("  the long job, which many of them named: %s\n", status().c_str());
}

}  // namespace postpone::bench

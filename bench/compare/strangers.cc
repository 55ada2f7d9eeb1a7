#include "bench/compare/strangers.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <thread>

#include "bench/compare/statements.h"
#include "bench/figures.h"
#include "bench/rescue.h"
#include "bench/stage.h"
#include "tests/support/eventually.h"

namespace postpone::bench {
namespace {

constexpr int kChunk = 5000;  // jobs that are deferred at once
constexpr int kSubWorkers = 24;
constexpr int kProducers = 4;

// Each of these sub-workers gets a job that does not end.
void make_busy(Client& client, int sub_workers, const tests::Family& family) {
  const std::string count = std::to_string(sub_workers);
  client.execute("SELECT count(postpone_defer('misbehave.hang', queue => 'm')) FROM generate_series(1, " +
                 count + ")");
  const auto all_run = [&] {
    return client.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == count;
  };
  if (!tests::eventually(all_run))
    throw std::runtime_error("not every sub-worker gets a job:\n" + family.log());
}

// Jobs a second that all producers together defer.
double produce(const std::string& url, std::chrono::seconds length) {
  std::atomic<int> deferred = 0;
  std::atomic<bool> is_over = false;
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> producers;
    for (int i = 0; i < kProducers; ++i)
      producers.emplace_back([&] {
        Client client(url);
        for (; !is_over; ++deferred) client.execute(defer_one({}));
      });
    std::this_thread::sleep_for(length);
    is_over = true;
  }
  return per_second(deferred, begin);
}

}  // namespace

Figures UnderSnapshot::measure(const Load& load) {
  Stage stage(kLogAsUsersDo, load.concurrency);
  Client other(stage.database.url());
  if (is_held_) {
    other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    other.execute("SELECT count(*) FROM procrastinate_jobs");
  }
  std::vector<double> rates;
  for (const auto end = Clock::now() + std::chrono::seconds(load.seconds);
       rates.empty() || Clock::now() < end;) {
    stage.client.execute(defer_all({.jobs = kChunk}));
    const auto begin = Clock::now();
    stage.wait_until_all_ended();
    rates.push_back(per_second(kChunk, begin));
  }
  return {{"jobs_per_s", median({rates.begin() + static_cast<long>(rates.size() * 2 / 3), rates.end()})}};
}

Figures Producers::measure(const Load& load) {
  const tests::TestDatabase database;
  Client client(database.url());
  std::deque<tests::Family> families;
  for (int i = 0; i < supervisors_; ++i) {
    families.emplace_back(database.url(),
                          kNoPolling + kLogAsUsersDo + tests::group("m", kMisbehave, kSubWorkers));
    families.back().wait_until_ready(kSubWorkers);
  }
  if (are_busy_) make_busy(client, supervisors_ * kSubWorkers, families.front());
  return {{"jobs_per_s", produce(database.url(), std::chrono::seconds(load.seconds))}};
}

Figures Rescue::measure(const Load& load) {
  return figures_of_times(rescue_times(load.jobs, kLogAsUsersDo).whole);
}

}  // namespace postpone::bench

#include "bench/compare/own.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <thread>

#include "bench/compare/statements.h"
#include "bench/figures.h"
#include "bench/processes.h"
#include "bench/stage.h"
#include "tests/support/database.h"
#include "tests/support/family.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;

// All processes of the family, the tasks' too.
std::map<pid_t, double> cpu_of(const tests::Family& family) {
  std::map<pid_t, double> used;
  for (const auto& [pid, title] : family.processes()) used[pid] = cpu_ms(pid);
  return used;
}

double used_since(std::map<pid_t, double> before, const tests::Family& family) {
  double ms = 0;
  for (const auto& [pid, used] : cpu_of(family)) ms += used - before[pid];
  return ms;
}

Figures defer_one_by_one(const Load& load) {
  const tests::TestDatabase database;
  Client client(database.url());
  const auto begin = Clock::now();
  for (int i = 0; i < load.jobs; ++i) client.execute(defer_one(load));
  return {{"jobs_per_s", per_second(load.jobs, begin)}};
}

Figures defer_in_one_call(const Load& load) {
  const tests::TestDatabase database;
  Client client(database.url());
  const auto begin = Clock::now();
  client.execute(defer_all(load));
  return {{"jobs_per_s", per_second(load.jobs, begin)}};
}

}  // namespace

// From the commit of the defer until no job waits or runs.
Figures Own::work_off(const Load& load) const {
  Stage stage(kLogAsUsersDo, load.concurrency, group_keys_);
  const auto before = cpu_of(stage.family);
  stage.client.execute(defer_all(load));
  const auto begin = Clock::now();
  stage.wait_until_all_ended();
  const double rate = per_second(load.jobs, begin);
  return {{"jobs_per_s", rate}, {"cpu_us_per_job", 1000 * used_since(before, stage.family) / load.jobs}};
}

// From the answer to the defer to the first instruction of the handler, while nothing else is to be done.
Figures Own::meet(const Load& load) const {
  Stage stage(kLogAsUsersDo, load.concurrency, group_keys_);
  std::vector<std::int64_t> committed;
  for (int i = 0; i < load.jobs; ++i) {
    stage.defer();
    committed.push_back(now_ns());
    stage.wait_until_all_ended();
    std::this_thread::sleep_for(20ms);
  }
  return figures_of_times(stage.ms_to_start(committed));
}

// With all intervals at their defaults. Start-up is not rest.
Figures Own::rest(const Load& load) const {
  const tests::TestDatabase database;
  tests::Family family(database.url(),
                       kLogAsUsersDo + tests::group("m", kMisbehave, load.concurrency, group_keys_));
  family.wait_until_ready(load.concurrency);
  std::this_thread::sleep_for(2s);
  const auto before = cpu_of(family);
  std::this_thread::sleep_for(std::chrono::seconds(load.seconds));
  const double used = used_since(before, family);
  std::vector<double> mib;
  for (const pid_t pid : family.processes("postpone: sub-worker m/")) mib.push_back(private_mib(pid));
  return {{"cpu_percent", used / (load.seconds * 10.0)}, {"private_mib", median(mib)}};
}

Figures Own::measure(const Load& load) {
  switch (load.asked) {
    case Load::Asked::backlog:
      return work_off(load);
    case Load::Asked::arrivals:
      return meet(load);
    case Load::Asked::defers:
      return defer_one_by_one(load);
    case Load::Asked::batch:
      return defer_in_one_call(load);
    case Load::Asked::rest:
      return rest(load);
  }
  return {};
}

}  // namespace postpone::bench

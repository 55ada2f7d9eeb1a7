// What an idle family costs.
#include <sys/types.h>

#include <cstdio>
#include <map>
#include <thread>

#include "bench/figures.h"
#include "bench/processes.h"
#include "tests/support/database.h"
#include "tests/support/family.h"

namespace postpone::bench {
namespace {

struct Use {
  double cpu_seconds = 0;
  double private_mib = 0;
};

std::map<pid_t, Use> look(const tests::Family& family) {
  std::map<pid_t, Use> uses;
  for (const auto& [pid, title] : family.processes())
    if (title.starts_with("postpone: ")) uses[pid] = {cpu_ms(pid) / 1000, private_mib(pid)};
  return uses;
}

}  // namespace

void rest(std::chrono::seconds length) {
  std::printf("rest: supervisor, housekeeper and 8 idle sub-workers (default intervals) for %lld s\n",
              static_cast<long long>(length.count()));
  const tests::TestDatabase database;
  tests::Family family(database.url(), tests::group("m", POSTPONE_EXAMPLES_DIR "/misbehave", 8));
  family.wait_until_ready(8);
  Client client(database.url());
  const std::string statements =
      "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
  std::this_thread::sleep_for(std::chrono::seconds(2));  // start-up is not rest
  const auto before = look(family);
  const double transactions_before = std::stod(client.execute(statements));
  std::this_thread::sleep_for(length);
  const auto after = look(family);
  const double transactions = std::stod(client.execute(statements)) - transactions_before;
  double cpu = 0;
  const auto titles = family.processes();
  for (const auto& [pid, use] : after) {
    cpu += use.cpu_seconds - before.at(pid).cpu_seconds;
    std::printf("  %-40s %6.2f MiB private\n", titles.at(pid).c_str(), use.private_mib);
  }
  const double seconds = static_cast<double>(length.count());
  std::printf("  processor: %.3f %% of a core in all\n", 100 * cpu / seconds);
  std::printf("  transactions: %.2f a second in all (8 sub-workers polling every 5 s are 1.6)\n",
              transactions / seconds);
}

}  // namespace postpone::bench

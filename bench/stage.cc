#include "bench/stage.h"

#include <chrono>
#include <stdexcept>

#include "tests/support/eventually.h"

namespace postpone::bench {

using namespace std::chrono_literals;

Stage::Stage(const std::string& more)
    : family(database.url(), kNoPolling + more + tests::group("m", kMisbehave, 8)), client(database.url()) {
  family.wait_until_ready(8);
}

std::string Stage::defer(const std::string& more, int ms) {
  return client.execute("SELECT postpone_defer('misbehave.journal', queue => 'm', args => '{\"ms\": " +
                        std::to_string(ms) + ", \"file\": \"" + journal() + "\"}'" + more + ")");
}

void Stage::wait_until_all_ended() {
  const auto none_left = [&] {
    return client.execute("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')") == "0";
  };
  if (!tests::eventually(none_left, 300s)) throw std::runtime_error("jobs do not end:\n" + family.log());
}

std::vector<std::int64_t> Stage::times_of(const std::string& what) const {
  std::vector<std::int64_t> times;
  for (const auto& line : tests::read_journal(journal()))
    if (line.what == what) times.push_back(line.at_ns);
  return times;
}

}  // namespace postpone::bench

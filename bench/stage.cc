#include "bench/stage.h"

#include <chrono>
#include <stdexcept>

#include "tests/support/eventually.h"

namespace postpone::bench {

using namespace std::chrono_literals;

Stage::Stage(const std::string& more, int sub_workers, const std::string& group_keys)
    : family(database.url(), kNoPolling + more + tests::group("m", kMisbehave, sub_workers, group_keys)),
      client(database.url()) {
  family.wait_until_ready(sub_workers);
}

std::string Stage::defer(const std::string& more, int ms) {
  return client.execute("SELECT postpone_defer('misbehave.journal', queue => 'm', args => '{\"ms\": " +
                        std::to_string(ms) + ", \"file\": \"" + journal() + "\"}'" + more + ")");
}

void Stage::wait_until_all_ended() {
  const auto none_left = [&] {
    // Each by its own index: the observer must not read all that have ended, again and again.
    return client.execute(
               "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status = 'todo') OR EXISTS "
               "(SELECT FROM procrastinate_jobs WHERE status = 'doing')") == "f";
  };
  if (!tests::eventually(none_left, 300s)) throw std::runtime_error("jobs do not end:\n" + family.log());
}

double Stage::jobs_per_second(int jobs) {
  client.execute("SELECT count(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, " +
                 std::to_string(jobs) + ")");
  const auto begin = Clock::now();
  wait_until_all_ended();
  return per_second(jobs, begin);
}

std::vector<std::int64_t> Stage::times_of(const std::string& what) const {
  std::vector<std::int64_t> times;
  for (const auto& line : tests::read_journal(journal()))
    if (line.what == what) times.push_back(line.at_ns);
  return times;
}

std::vector<double> Stage::ms_to_start(const std::vector<std::int64_t>& committed_ns) const {
  const auto started = times_of("start");
  std::vector<double> times;
  for (std::size_t i = 0; i < committed_ns.size(); ++i)
    times.push_back(ms_between(committed_ns[i], started.at(i)));
  return times;
}

void require(bool done, const std::string& what, const tests::Family& family) {
  if (!done) throw std::runtime_error(what + "\n" + family.log());
}

std::vector<tests::JournalLine> starts(const std::string& journal) {
  auto lines = tests::read_journal(journal);
  std::erase_if(lines, [](const tests::JournalLine& line) { return line.what != "start"; });
  return lines;
}

tests::JournalLine wait_for_start(const std::string& journal, std::size_t count,
                                  const tests::Family& family) {
  std::vector<tests::JournalLine> begun;
  require(tests::eventually([&] { return (begun = starts(journal)).size() >= count; }, 120s), "no job starts",
          family);
  return begun.back();
}

}  // namespace postpone::bench

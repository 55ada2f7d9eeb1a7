// A sub-worker is killed: how soon its job starts again in another one.
#include "bench/rescue.h"

#include <sys/types.h>

#include <csignal>
#include <cstdio>
#include <sstream>

#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/signals.h"

namespace postpone::bench {
namespace {

pid_t parent_of(pid_t pid) {
  const std::string stat = tests::read_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

// When the last event of a type was written, which is when its transaction began; ms since the epoch.
double last_event(Client& client, const std::string& type) {
  return std::stod(
      client.execute("SELECT 1000 * extract(epoch FROM at) FROM procrastinate_events WHERE type = '" + type +
                     "' ORDER BY id DESC LIMIT 1"));
}

// When the one job there is was fetched last. As long as it is only claimed, no event says so.
double last_fetch(Client& client) {
  const std::string claimed =
      client.execute("SELECT 1000 * extract(epoch FROM claimed_at) FROM postpone_claims");
  return claimed.empty() ? last_event(client, "started") : std::stod(claimed);
}

// Kills the sub-worker that runs the one job there is, and waits until it runs again.
void kill_runner(Stage& stage, const tests::JournalLine& running, RescueTimes& times) {
  const auto wall_ms = [] {
    return Milliseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  const std::size_t before = starts(stage.journal()).size();  // now: afterwards the next may be among them
  const double killed_wall = wall_ms();
  const auto killed = now_ns();
  tests::send_signal(parent_of(running.pid), SIGKILL);
  const auto again = wait_for_start(stage.journal(), before + 1, stage.family);
  const double started_wall = killed_wall + ms_between(killed, again.at_ns);
  const double rescued = last_event(stage.client, "deferred_for_retry");
  const double fetched = last_fetch(stage.client);
  times.noticed.push_back(rescued - killed_wall);
  times.rescued.push_back(fetched - rescued);
  times.fetched.push_back(started_wall - fetched);
  times.whole.push_back(ms_between(killed, again.at_ns));
}

}  // namespace

RescueTimes rescue_times(int kills, const std::string& sections) {
  Stage stage("[stalled]\nmax_stalled = 1000\n" + sections);
  stage.defer("", kAnHour);
  RescueTimes times;
  for (int i = 0; i < kills; ++i) {
    stage.family.wait_until_ready(8 + i);  // the successors of those that were killed are idle, too
    kill_runner(stage, wait_for_start(stage.journal(), static_cast<std::size_t>(i) + 1, stage.family), times);
  }
  return times;
}

void rescue(int kills) {
  std::printf("rescue: SIGKILL of the sub-worker that runs a job, with 7 idle ones beside it\n");
  const RescueTimes times = rescue_times(kills, "");
  print_times("killed to started again", times.whole);
  print_times("  killed to rescue begun", times.noticed);
  print_times("  rescue begun to fetch begun", times.rescued);
  print_times("  fetch begun to handler started", times.fetched);
}

}  // namespace postpone::bench

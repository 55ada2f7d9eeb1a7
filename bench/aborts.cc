// A person aborts a job that runs: how soon its handler hears of it.
#include <cstdio>
#include <string>
#include <thread>

#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/eventually.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;

// When this is to happen after the start of the handler. A job that has run for some milliseconds is no longer claimed, but `doing`.
std::chrono::milliseconds pause_before(int abort) {
  return 1ms * (abort % 10) * 10;
}

}  // namespace

void aborts(int jobs) {
  std::printf(
      "aborts: from the answer to the abort (the commit) to should_abort() in the handler, 7 idle "
      "sub-workers "
      "beside it\n");
  Stage stage;
  std::vector<std::int64_t> committed;
  for (int i = 0; i < jobs; ++i) {
    const auto id =
        stage.client.execute("SELECT postpone_defer('misbehave.obey', queue => 'm', args => '{\"file\": \"" +
                             stage.journal() + "\"}')");
    wait_for_start(stage.journal(), static_cast<std::size_t>(i) + 1, stage.family);
    std::this_thread::sleep_for(pause_before(i));
    stage.client.execute("SELECT procrastinate_cancel_job_v1(" + id + ", true, false)");
    committed.push_back(now_ns());
    stage.wait_until_all_ended();
  }
  const auto asked = stage.times_of("asked");
  std::vector<double> times;
  for (std::size_t i = 0; i < committed.size(); ++i) times.push_back(ms_between(committed[i], asked.at(i)));
  print_times("abort committed to should_abort()", times);
}

}  // namespace postpone::bench

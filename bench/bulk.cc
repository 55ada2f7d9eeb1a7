// What it costs people to change many jobs at once with `postpone jobs`.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/figures.h"
#include "tests/support/database.h"
#include "tests/support/program.h"

namespace postpone::bench {
namespace {

class BulkStage {
 public:
  explicit BulkStage(int jobs) : jobs_(jobs) {}

  // So many jobs of a queue of their own, some of them with locks, as old as they need be for a purge.
  void fill(const std::string& queue, const std::string& status) {
    database_.execute("insert into procrastinate_jobs (queue_name, task_name, lock, status) select '" +
                      queue + "', 'wash', case when i % 10 = 0 then 'sink ' || i / 100 end, '" + status +
                      "' from generate_series(1, " + std::to_string(jobs_) + ") i");
    database_.execute(
        "insert into procrastinate_events (job_id, type, at) select id, 'deferred', now() - interval '1 "
        "day' from procrastinate_jobs where queue_name = '" +
        queue + "' and status <> 'todo'");
    database_.execute("analyze procrastinate_jobs, procrastinate_events");
  }

  // How long the command takes, its start included. Throws when it ends with another status than 0.
  double run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {POSTPONE_CLI, "jobs"});
    const auto begin = Clock::now();
    const tests::ProgramRun run =
        tests::run_program(arguments, {.environment = {{"POSTPONE_DATABASE_URL", database_.url()}}});
    const double ms = Milliseconds(Clock::now() - begin).count();
    if (run.exit_status != 0) throw std::runtime_error(run.errors);
    return ms;
  }

 private:
  int jobs_;
  tests::TestDatabase database_;
};

void print(const char* what, double ms, double purge_ms) {
  std::printf("  %-24s %8.0f ms, %5.2f times the purge\n", what, ms, ms / purge_ms);
}

}  // namespace

void bulk(int jobs) {
  std::printf("bulk: %d jobs changed by one command, beside the purge of as many\n", jobs);
  BulkStage stage(jobs);
  stage.fill("purge", "succeeded");
  const double purge =
      stage.run({"purge", "--older-than", "1h", "--status", "succeeded", "--queue", "purge"});
  std::printf("  %-24s %8.0f ms\n", "jobs purge", purge);
  stage.fill("cancel", "todo");
  print("jobs cancel", stage.run({"cancel", "--queue", "cancel"}), purge);
  stage.fill("delete", "todo");
  print("jobs cancel --delete", stage.run({"cancel", "--queue", "delete", "--delete"}), purge);
  stage.fill("retry", "failed");
  print("jobs retry", stage.run({"retry", "--queue", "retry"}), purge);
}

}  // namespace postpone::bench

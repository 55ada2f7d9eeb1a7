#include "bench/compare/floors.h"

#include <chrono>
#include <future>

#include "bench/compare/statements.h"
#include "bench/figures.h"
#include "bench/stage.h"
#include "tests/support/database.h"

namespace postpone::bench {
Figures SameSql::measure(const Load& load) {
  const tests::TestDatabase database;
  Client client(database.url());
  client.execute(defer_all(load));
  std::vector<std::future<void>> connections;
  const auto begin = Clock::now();
  for (int i = 0; i < load.concurrency; ++i)
    connections.push_back(
        std::async(std::launch::async, [&] { Client(database.url()).execute(work_off_in_sets(set_size_)); }));
  for (auto& connection : connections) connection.get();
  return {{"jobs_per_s", per_second(load.jobs, begin)}};
}

Figures BareNotify::measure(const Load& load) {
  const tests::TestDatabase database(tests::Schema::none);
  Client client(database.url());
  Client listener(database.url());
  listener.execute("LISTEN bare");
  std::vector<double> times;
  for (int i = 0; i < load.jobs; ++i) {
    const auto sent = now_ns();
    client.execute("NOTIFY bare");
    listener.wait_for_notification();
    times.push_back(ms_between(sent, now_ns()));
  }
  return figures_of_times(times);
}

Figures Flush::measure(const Load& load) {
  return figures_of_times(flush_times(load.jobs));
}

Figures PlainInsert::measure(const Load& load) {
  const tests::TestDatabase database;
  Client client(database.url());
  client.execute("ALTER TABLE procrastinate_jobs DISABLE TRIGGER USER");
  const std::string insert = "INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args) ";
  const auto begin = Clock::now();
  if (load.asked == Load::Asked::batch) {
    client.execute(
        insert + "SELECT job.queue_name, job.task_name, job.priority, job.args FROM unnest(ARRAY(SELECT " +
        "ROW('m', 'misbehave.noop', 0, NULL, NULL, '{}', NULL)::procrastinate_job_to_defer_v1 FROM "
        "generate_series(1, " +
        std::to_string(load.jobs) + "))) AS job");
  } else {
    for (int i = 0; i < load.jobs; ++i) client.execute(insert + "VALUES ('m', 'misbehave.noop', 0, '{}')");
  }
  return {{"jobs_per_s", per_second(load.jobs, begin)}};
}

}  // namespace postpone::bench

// What it costs an application to defer many jobs: libtask's client beside plain SQL.
#include <libtask/client.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bench/figures.h"
#include "tests/support/database.h"

namespace postpone::bench {
namespace {

std::vector<libtask::NewJob> jobs_to_defer(int count) {
  std::vector<libtask::NewJob> jobs;
  for (int i = 0; i < count; ++i)
    jobs.emplace_back("dishes.wash", libtask::Args{{"dish", "plate"}, {"times", i}},
                      libtask::JobOptions{.queue = "kitchen"});
  return jobs;
}

// Each in a new database, so that none works on the table of another.
template <class F>
double time_of(F work) {
  const tests::TestDatabase database;
  database.execute("checkpoint");
  const auto begin = Clock::now();
  work(database.url());
  return Milliseconds(Clock::now() - begin).count();
}

double time_of_single_statements(int count) {
  return time_of([&](const std::string& url) {
    Client client(url);
    for (int i = 0; i < count; ++i) {
      client.execute("select postpone_defer('dishes.wash', '{\"dish\": \"plate\", \"times\": " +
                     std::to_string(i) + "}', queue => 'kitchen')");
    }
  });
}

double time_of_unnest(int count) {
  return time_of([&](const std::string& url) {
    std::string args = "{";
    for (int i = 0; i < count; ++i)
      args +=
          std::string(i > 0 ? "," : "") + R"("{\"dish\": \"plate\", \"times\": )" + std::to_string(i) + "}\"";
    Client(url).execute(
        "insert into procrastinate_jobs (queue_name, task_name, args) select 'kitchen', 'dishes.wash', a "
        "from "
        "unnest('" +
        args + "}'::jsonb[]) a returning id");
  });
}

double time_of_client(const std::vector<libtask::NewJob>& jobs) {
  return time_of([&](const std::string& url) { libtask::Client(url).defer_many(jobs); });
}

}  // namespace

void defer(int jobs, int rounds) {
  std::printf("defer: %d jobs deferred, %d rounds\n", jobs, rounds);
  const std::vector<libtask::NewJob> few = jobs_to_defer(jobs);
  const std::vector<libtask::NewJob> many = jobs_to_defer(2 * jobs);
  const double single = time_of_single_statements(jobs);
  std::printf("  %-44s %8.0f ms\n", "so many statements of one job", single);
  std::vector<double> unnest, client, copy;
  for (int round = 0; round < rounds; ++round) {
    unnest.push_back(time_of_unnest(jobs));
    client.push_back(time_of_client(few));
    copy.push_back(time_of_client(many) / 2);
  }
  const double best = median(unnest);
  std::printf("  %-44s %8.0f ms\n", "insert … select unnest, one statement", best);
  for (const auto& [what, times] : {std::pair{"defer_many, one statement", client},
                                    std::pair{"defer_many by COPY, of twice as many: half", copy}})
    std::printf("  %-44s %8.0f ms, %.2f times unnest, %.1f times as fast as single statements\n", what,
                median(times), median(times) / best, single / median(times));
}

}  // namespace postpone::bench

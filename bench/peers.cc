// Postpone beside other queues on PostgreSQL, in turns on one server.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/figures.h"
#include "bench/stage.h"

namespace postpone::bench {
namespace {

using nlohmann::json;

constexpr int kConcurrency = 10;

// --- the others ---

// Runs `program` of bench/peers on a database of its own, and returns the line of JSON that it prints.
json ask_peer(const std::string& directory, const std::string& program) {
  const tests::TestDatabase database(tests::Schema::none);
  Client client(database.url());
  const std::string command =
      "cd '" + directory + "' && PGHOST='" + client.execute("SHOW unix_socket_directories") +
      "' PGPORT=" + client.execute("SHOW port") + " PGUSER='" + client.execute("SELECT current_user") +
      "' PGDATABASE='" + database.name() + "' node_modules/.bin/node " + program;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  if (!pipe) throw std::runtime_error("cannot start: " + command);
  std::string output;
  for (char text[4096]; std::fgets(text, sizeof text, pipe.get()) != nullptr;) output += text;
  const json answer = json::parse(output, nullptr, false);
  if (answer.is_discarded()) throw std::runtime_error("no figures from: " + program + ": " + output);
  return answer;
}

// --- Postpone ---

// From the answer to the defer to the first instruction of the handler, while nothing else is to be done.
std::vector<double> own_latencies(int jobs) {
  Stage stage;
  std::vector<std::int64_t> committed;
  for (int i = 0; i < jobs; ++i) {
    stage.defer();
    committed.push_back(now_ns());
    stage.wait_until_all_ended();
  }
  return stage.ms_to_start(committed);
}

// --- side by side ---

struct Contender {
  std::string name;
  std::function<double()> measure;
  std::vector<double> figures = {};
};

// In turns, so that what the machine does meanwhile meets all of them.
void compare(const char* unit, std::vector<Contender> contenders, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) contender.figures.push_back(contender.measure());
  }
  const double base = median(contenders.front().figures);
  for (Contender& contender : contenders) {
    const auto [least, most] = std::ranges::minmax(contender.figures);
    const double middle = median(contender.figures);
    std::printf("  %-44s median %9.0f  lowest %9.0f  highest %9.0f %s  ratio %.2f\n", contender.name.c_str(),
                middle, least, most, unit, middle / base);
  }
}

void compare_latencies(const std::string& directory, int jobs) {
  const auto others = ask_peer(directory, "graphile.mjs latency " + std::to_string(jobs))
                          .at("latencies_ms")
                          .get<std::vector<double>>();
  const std::vector<double> ours = own_latencies(jobs);
  print_times("graphile-worker, defer to handler", others);
  print_times("Postpone, defer to handler", ours);
  std::printf("  ratio of the medians: %.2f\n", median(ours) / median(others));
}

}  // namespace

void peers(int jobs, int rounds) {
  const char* directory = std::getenv("POSTPONE_BENCH_PEERS");
  if (directory == nullptr || *directory == '\0')
    throw std::runtime_error(
        "peers: POSTPONE_BENCH_PEERS does not name the directory that scripts/bench fills");
  const std::string where = directory;
  const auto peer = [where](const std::string& program, int count) {
    return [=] {
      return ask_peer(where, program + " " + std::to_string(count) + " " + std::to_string(kConcurrency))
          .at("jobs_per_s")
          .get<double>();
    };
  };
  const auto own = [](const std::string& keys, int count) {
    return [=] { return Stage("", kConcurrency, keys).jobs_per_second(count); };
  };
  std::printf(
      "peers: waiting no-op jobs, %d at a time, %d rounds in turns; ratios to graphile-worker's best\n",
      kConcurrency, rounds);
  compare("jobs/s",
          {{"graphile-worker, local queue, batched", peer("graphile.mjs throughput best", 3 * jobs)},
           {"graphile-worker, as it comes", peer("graphile.mjs throughput plain", jobs)},
           {"pg-boss, batches of 100", peer("pgboss.mjs throughput best", jobs)},
           {"pg-boss, one at a time", peer("pgboss.mjs throughput plain", jobs)},
           {"Postpone, full history", own("", jobs)},
           {"Postpone, full history, one at a time", own("prefetch = 1\n", jobs)},
           {"Postpone, delete_jobs = \"successful\"", own("delete_jobs = \"successful\"\n", jobs)}},
          rounds);
  std::printf("  idle latency\n");
  compare_latencies(where, 200);
  std::printf("  absent: BullMQ (it is not measured yet)\n");
}

}  // namespace postpone::bench

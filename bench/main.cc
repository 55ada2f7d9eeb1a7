// postpone_bench [NAME…] [OPTION…]: prints figures; see docs/benchmarks.md. Run it through scripts/bench,
// which builds preset `release` and starts a private server.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/compare/compare.h"
#include "bench/figures.h"

namespace postpone::bench {
namespace {

// Everything else was measured: figures may be kept. scripts/bench goes by it.
constexpr int kSomeContenderFailed = 3;

struct CommandLine {
  std::vector<std::string> names = {};
  CompareOptions options = {};
  bool has_options = false;
};

// What is left unsaid stays as `defaults` has it.
CommandLine read_command_line(int argc, char** argv, CompareOptions defaults) {
  CommandLine asked = {.options = std::move(defaults)};
  CLI::App parser("Prints figures: docs/benchmarks.md");
  auto* options = parser.add_option_group("Of peers and guard");
  parser.add_option("name", asked.names, "latency, locks, …");
  options->add_option("--only", asked.options.only, "Workloads, or what their names begin with")
      ->delimiter(',');
  options->add_option("--rounds", asked.options.rounds, "How often each contender has its turn")
      ->check(CLI::Range(1, 1000));
  options->add_option("--scale", asked.options.scale, "The share of each workload's jobs")
      ->check(CLI::Range(0.0001, 100.0));
  options->add_option("--rows", asked.options.extent.most_rows, "The most rows before what a fetch finds")
      ->check(CLI::Range(1000, 100'000'000));
  options
      ->add_option("--snapshot-seconds", asked.options.extent.snapshot_seconds, "How long a snapshot is held")
      ->check(CLI::Range(1, 86'400));
  options->add_option("--json", asked.options.json, "A file that gets all figures");
  options->add_option("--note", asked.options.note, "A sentence for the readers of that file");
  parser.parse(argc, argv);
  asked.has_options = options->count_all() > 0;
  return asked;
}

const std::map<std::string, std::function<void()>>& benchmarks() {
  static const std::map<std::string, std::function<void()>> all = {
      {"latency", [] { latency(300); }},
      {"locks", [] { locks(30); }},
      {"aborts", [] { aborts(100); }},
      {"letters", [] { letters(50); }},
      {"rest", [] { rest(std::chrono::seconds(30)); }},
      {"throughput", [] { throughput(20'000, 3); }},
      {"soak", [] { throughput(20'000, 20); }},
      {"bulk", [] { bulk(10'000); }},
      {"retention", [] { retention(1'000'000, 20'000); }},
      {"defer", [] { defer(100'000, 3); }},
      {"hostile", [] { hostile(10'000, 100, 3); }},
      {"status", [] { status(300); }},
      {"rescue", [] { rescue(500); }},
      {"takeover",
       [] {
         takeover(std::chrono::seconds(3), 5);
         takeover(std::chrono::seconds(30), 1);
       }},
      {"kills", [] { kills(std::chrono::seconds(10), 2); }},
      {"return", [] { comeback(20); }},
      {"flood", [] { foreign_notifications(100'000, 5); }},
  };
  return all;
}

bool is_comparison(const std::string& name) {
  return name == "peers" || name == "guard";
}

void check(const CommandLine& asked) {
  bool compares = false;
  for (const std::string& name : asked.names) {
    compares = compares || is_comparison(name);
    if (is_comparison(name) || benchmarks().contains(name)) continue;
    std::string message = "no benchmark \"" + name + "\"; there are peers, guard";
    for (const auto& [known, run] : benchmarks()) message += ", " + known;
    throw std::invalid_argument(message);
  }
  if (asked.has_options && !compares) throw std::invalid_argument("options are for peers and guard only");
}

// The exit status.
int run(int argc, char** argv) {
  CommandLine asked = read_command_line(argc, argv, {});
  check(asked);
  if (asked.names.empty()) asked.names = {"latency", "locks", "letters", "rest", "throughput"};
  bool is_whole = true;
  for (const std::string& name : asked.names) {
    if (name == "peers")
      is_whole = compare(asked.options) && is_whole;
    else if (name == "guard")
      is_whole = compare(read_command_line(argc, argv, guard_options()).options) && is_whole;
    else
      benchmarks().at(name)();
  }
  return is_whole ? 0 : kSomeContenderFailed;
}

}  // namespace
}  // namespace postpone::bench

int main(int argc, char** argv) {
  try {
    return postpone::bench::run(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::printf("usage: scripts/bench [NAME…] [OPTION…]; docs/benchmarks.md explains them\n");
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "postpone_bench: %s\n", error.what());
    return 2;
  } catch (const std::invalid_argument& mistake) {
    std::fprintf(stderr, "postpone_bench: %s\n", mistake.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "postpone_bench: %s\n", error.what());
    return 1;
  }
}

// postpone_bench [NAME…]: prints figures; see docs/benchmarks.md. Run it through scripts/bench, which builds
// preset `release` and starts a private server.
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bench/figures.h"

int main(int argc, char** argv) {
  using namespace postpone::bench;
  const std::map<std::string, std::function<void()>> benchmarks = {
      {"latency", [] { latency(300); }},
      {"locks", [] { locks(30); }},
      {"letters", [] { letters(50); }},
      {"rest", [] { rest(std::chrono::seconds(30)); }},
      {"throughput", [] { throughput(20'000, 3); }},
      {"soak", [] { throughput(20'000, 20); }},
      {"bulk", [] { bulk(10'000); }},
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
      {"peers", [] { peers(20'000, 3); }},
      {"flood", [] { foreign_notifications(100'000, 5); }},
  };
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.empty()) names = {"latency", "locks", "letters", "rest", "throughput"};
  try {
    for (const std::string& name : names) {
      const auto benchmark = benchmarks.find(name);
      if (benchmark == benchmarks.end()) {
        std::fprintf(
            stderr,
            "postpone_bench: no benchmark \"%s\"; there are latency, locks, letters, rest, "
            "throughput, soak, bulk, hostile, status, rescue, takeover, kills, return, flood, peers\n",
            name.c_str());
        return 2;
      }
      benchmark->second();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "postpone_bench: %s\n", error.what());
    return 1;
  }
}

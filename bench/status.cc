// What the status socket costs: the supervisor's time for a request, and what a scraper takes from the jobs.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "bench/figures.h"
#include "bench/processes.h"
#include "bench/stage.h"
#include "sys/fd.h"
#include "tests/support/eventually.h"

namespace postpone::bench {
namespace {

using namespace std::chrono_literals;

// One request, one connection; the bytes of the answer.
std::size_t get(const std::string& socket, const std::string& page) {
  const sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.data(), socket.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    sys::throw_errno("connect");
  const std::string request = "GET " + page + " HTTP/1.1\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) sys::throw_errno("send");
  std::string answer;
  char bytes[65'536];
  for (ssize_t n = 0; (n = ::read(fd.get(), bytes, sizeof bytes)) > 0;)
    answer.append(bytes, static_cast<std::size_t>(n));
  if (!answer.starts_with("HTTP/1.1 200")) throw std::runtime_error("/status: " + answer.substr(0, 200));
  return answer.size();
}

// A page is kept for 50 ms; each request here finds it too old. Less what the supervisor uses by itself.
void print_cost(const tests::Family& family, const std::string& socket, const std::string& page,
                int requests) {
  constexpr auto kPause = 60ms;
  std::size_t bytes = 0;
  std::vector<double> waits;
  const double idle_from = cpu_ms(family.pid());
  std::this_thread::sleep_for(kPause * requests / 4);
  const double idle = (cpu_ms(family.pid()) - idle_from) * 4;
  const double from = cpu_ms(family.pid());
  for (int i = 0; i < requests; ++i) {
    const auto begin = now_ns();
    bytes = get(socket, page);
    waits.push_back(ms_between(begin, now_ns()));
    std::this_thread::sleep_for(kPause);
  }
  const double used = cpu_ms(family.pid()) - from;
  std::printf(
      "  %s: %zu bytes; %.3f ms of the supervisor's processor time a request (%.3f with its own work)\n",
      page.c_str(), bytes, (used - idle) / requests, used / requests);
  print_times("  asked to answered", waits);
}

void cost(int requests) {
  const tests::TestDatabase database;
  const tests::TemporaryDirectory files;
  const std::string socket = files.file("status");
  const std::string section = "[status]\nsocket = \"" + socket + "\"\n";
  tests::Family family(database.url(), kNoPolling + section + tests::group("m", kMisbehave, 64));
  family.wait_until_ready(64);
  Client client(database.url());
  client.execute(
      "SELECT count(postpone_defer('misbehave.wait', queue => 'm', lock => 'lock ' || i, args => '{\"ms\": "
      "600000}')) "
      "FROM generate_series(1, 64) i");
  const bool busy = tests::eventually([&] {
    return client.execute("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'") == "64";
  });
  if (!busy) throw std::runtime_error("64 jobs do not run at a time:\n" + family.log());
  for (const char* page : {"/status", "/metrics"}) print_cost(family, socket, page, requests);
}

double run_jobs(Stage& stage, int jobs) {
  stage.client.execute("TRUNCATE procrastinate_jobs CASCADE");
  stage.client.execute(
      "SELECT count(postpone_defer('misbehave.noop', queue => 'm')) FROM generate_series(1, " +
      std::to_string(jobs) + ")");
  const auto begin = Clock::now();
  stage.wait_until_all_ended();
  return jobs / std::chrono::duration<double>(Clock::now() - begin).count();
}

// Rounds with and without take turns, so that a machine that grows slower or quicker does so for both.
void scraped(int jobs, int rounds) {
  const tests::TemporaryDirectory files;
  const std::string socket = files.file("status");
  Stage stage("[status]\nsocket = \"" + socket + "\"\n");
  std::vector<double> plain, watched;
  run_jobs(stage, jobs / 4);
  for (int round = 0; round < 2 * rounds; ++round) {
    const bool watch = (round % 4 == 1) || (round % 4 == 2);
    const std::jthread scraper([&](const std::stop_token& stop) {
      for (auto next = Clock::now(); watch && !stop.stop_requested();) {
        get(socket, "/status");
        get(socket, "/metrics");
        for (next += 1s; !stop.stop_requested() && Clock::now() < next;) std::this_thread::sleep_for(20ms);
      }
    });
    (watch ? watched : plain).push_back(run_jobs(stage, jobs));
  }
  std::printf(
      "  no-op jobs a second: %.0f without, %.0f with a scrape of /status and /metrics each second; ratio "
      "%.3f\n",
      median(plain), median(watched), median(watched) / median(plain));
}

}  // namespace

void status(int requests) {
  std::printf(
      "status: 64 sub-workers, each with a job; then no-op jobs under 8 sub-workers, medians of 6 rounds "
      "each\n");
  cost(requests);
  scraped(6'000, 6);
}

}  // namespace postpone::bench

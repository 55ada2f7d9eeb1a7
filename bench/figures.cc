#include "bench/figures.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

#include "sys/fd.h"
#include "tests/support/files.h"

namespace postpone::bench {

Client::Client(const std::string& url) : connection_(PQconnectdb(url.c_str()), PQfinish) {
  if (PQstatus(connection_.get()) != CONNECTION_OK)
    throw std::runtime_error(PQerrorMessage(connection_.get()));
  execute("SET client_min_messages = warning");
}

std::string Client::execute(const std::string& sql) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection_.get(), sql.c_str()), PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(connection_.get()));
  return PQntuples(result.get()) > 0 && PQnfields(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

void Client::wait_for_notification() {
  for (;;) {
    PQconsumeInput(connection_.get());
    if (PGnotify* notification = PQnotifies(connection_.get())) return PQfreemem(notification);
    pollfd fd{socket(), POLLIN, 0};
    ::poll(&fd, 1, -1);
  }
}

void print_times(const std::string& what, const std::vector<double>& milliseconds) {
  if (milliseconds.empty()) throw std::runtime_error(what + ": nothing was measured");
  const auto at = [&](double share) { return quantile(milliseconds, share); };
  std::printf("  %-44s min %8.3f  median %8.3f  p90 %8.3f  p99 %8.3f  max %8.3f ms  (n = %zu)\n",
              what.c_str(), at(0), at(0.5), at(0.9), at(0.99), at(1), milliseconds.size());
  std::fflush(stdout);
}

double per_second(int jobs, Clock::time_point begin) {
  return jobs / std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<double> flush_times(int flushes) {
  const tests::TemporaryDirectory directory;
  const sys::Fd file(::open(directory.file("flush").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  std::vector<double> times;
  for (int i = 0; i < flushes; ++i) {
    const char block[8192] = {};
    if (::pwrite(file.get(), block, sizeof block, 0) < 0) sys::throw_errno("pwrite");
    const auto begin = Clock::now();
    ::fdatasync(file.get());
    times.push_back(Milliseconds(Clock::now() - begin).count());
  }
  return times;
}

}  // namespace postpone::bench

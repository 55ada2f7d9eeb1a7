#include "bench/figures.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

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

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void print_times(const std::string& what, std::vector<double> milliseconds) {
  if (milliseconds.empty()) throw std::runtime_error(what + ": nothing was measured");
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) {
    return milliseconds[static_cast<std::size_t>(share * static_cast<double>(milliseconds.size() - 1))];
  };
  std::printf("  %-44s min %8.3f  median %8.3f  p90 %8.3f  p99 %8.3f  max %8.3f ms  (n = %zu)\n",
              what.c_str(), at(0), at(0.5), at(0.9), at(0.99), at(1), milliseconds.size());
  std::fflush(stdout);
}

}  // namespace postpone::bench

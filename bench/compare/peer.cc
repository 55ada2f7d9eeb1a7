#include "bench/compare/peer.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/figures.h"
#include "tests/support/database.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

namespace postpone::bench {
namespace {

using nlohmann::json;

// What scripts/bench has filled; empty when it could not.
std::string directory() {
  const char* name = std::getenv("POSTPONE_BENCH_PEERS");
  return name == nullptr ? "" : name;
}

std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

std::string version_of_package(const std::string& package) {
  const std::string path = directory() + "/node_modules/" + package + "/package.json";
  const json about = json::parse(tests::read_file(path), nullptr, false);
  return about.is_object() ? about.value("version", "") : "";
}

Figures Peer::measure(const Load& load) {
  if (directory().empty()) throw Absent("npm, which installs it, is missing or failed");
  if (version_of_package(package_).empty()) throw Absent("npm has not installed " + package_);
  const tests::TestDatabase database(tests::Schema::none);
  Client client(database.url());
  const auto run =
      tests::run_program({"node_modules/.bin/node", "run.mjs", program_, mode_, json_of(load).dump()},
                         {.environment = {{"PGHOST", client.execute("SHOW unix_socket_directories")},
                                          {"PGPORT", client.execute("SHOW port")},
                                          {"PGUSER", client.execute("SELECT current_user")},
                                          {"PGDATABASE", database.name()}},
                          .directory = directory()});
  const json answer = json::parse(run.output, nullptr, false);
  if (run.exit_status != 0 || !answer.is_object()) throw Absent("it failed: " + last_line(run.errors));
  if (answer.contains("unsupported")) throw Absent(answer.at("unsupported").get<std::string>());
  if (answer.contains("latencies_ms"))
    return figures_of_times(answer.at("latencies_ms").get<std::vector<double>>());
  return answer.get<Figures>();
}

}  // namespace postpone::bench

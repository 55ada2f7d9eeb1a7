#include "bench/compare/compare.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "bench/compare/machine.h"
#include "bench/compare/result.h"

namespace postpone::bench {
namespace {

using nlohmann::json;

// The file is whole at any moment, the old one or the new one.
void write(const std::string& path, const json& document) {
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished);
  file << document.dump(1) << '\n';
  file.close();
  if (!file) throw std::runtime_error("cannot write " + unfinished);
  std::filesystem::rename(unfinished, path);
}

// What a person types to have the same measured again.
std::string command_of(const CompareOptions& options) {
  std::ostringstream command;
  command << "scripts/bench " << (options.extent.with_peers ? "peers" : "guard");
  for (std::size_t i = 0; options.extent.with_peers && i < options.only.size(); ++i)
    command << (i == 0 ? " --only " : ",") << options.only[i];
  command << " --rounds " << options.rounds << " --scale " << options.scale << " --rows "
          << options.extent.most_rows << " --snapshot-seconds " << options.extent.snapshot_seconds;
  return command.str();
}

std::vector<Workload> to_measure(const CompareOptions& options) {
  const std::vector<Workload> all = workloads(options.extent);
  return options.only.empty() ? all : chosen(all, options.only);
}

}  // namespace

CompareOptions guard_options() {
  CompareOptions options = {.scale = 0.1, .extent = {.with_peers = false, .most_rows = 10'000}};
  for (const Workload& workload : workloads(options.extent))
    if (workload.is_in_guard) options.only.push_back(workload.name);
  return options;
}

bool compare(const CompareOptions& options) {
  const std::vector<Workload> all = to_measure(options);
  json document = surroundings();
  document["command"] = command_of(options);
  document["rounds"] = options.rounds;
  if (!options.note.empty()) document["note"] = options.note;
  document["workloads"] = json::array();
  const auto keep = [&] {
    if (!options.json.empty()) write(options.json, document);
  };
  keep();  // a file that cannot be written is better found now than when something has been measured
  bool is_whole = true;
  for (const Workload& workload : all) {
    const Result result = measured(workload, options.rounds, options.scale);
    is_whole = is_whole && !result.has_failure;
    std::printf("%s\n", text_of(result).c_str());
    std::fflush(stdout);
    document["workloads"].push_back(json_of(result));
    keep();
  }
  return is_whole;
}

}  // namespace postpone::bench

#include "config/config.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

namespace postpone::config {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{4} << 20;

ParseResult unreadable(const std::string& why) {
  return {std::nullopt, {Problem{0, 0, "cannot be read: " + why}}};
}

}  // namespace

Milliseconds Supervisor::housekeeper_timeout() const {
  constexpr Milliseconds kShortest{1000};  // on a busy machine
  return std::min(subworker_timeout, std::max(kShortest, (fence_after - heartbeat_interval) / 2));
}

int Config::total_subworkers() const {
  int total = 0;
  for (const Group& group : groups) total += group.count;
  return total;
}

std::vector<std::string> Config::groups_serving(std::string_view queue) const {
  std::vector<std::string> serving;
  for (const Group& group : groups) {
    const auto& queues = group.queues;
    if (queue.empty() || queues.empty() || std::find(queues.begin(), queues.end(), queue) != queues.end()) {
      serving.push_back(group.name);
    }
  }
  return serving;
}

int Config::effective_pool_size() const {
  return database.pool_size > 0 ? database.pool_size : total_subworkers();
}

ParseResult load(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return unreadable(std::strerror(errno));
  std::string text(kMaxFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return unreadable(std::strerror(errno));
  if (text.size() > kMaxFileBytes) return unreadable("larger than 4 MiB, which no configuration is");

  return parse(text, std::filesystem::path(path).parent_path().string());
}

std::string to_string(const Problem& problem, const std::string& path) {
  if (problem.line == 0) return path + ": " + problem.message;
  return path + ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " +
         problem.message;
}

void apply(const Overrides& overrides, Config& config) {
  if (overrides.database_url && !overrides.database_url->empty()) {
    config.database.url = *overrides.database_url;
  }
  if (overrides.log_level) config.log.level = *overrides.log_level;
  if (overrides.polling_interval) config.supervisor.polling_interval = *overrides.polling_interval;
}

}  // namespace postpone::config

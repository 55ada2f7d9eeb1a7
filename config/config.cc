#include "config/config.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "config/shape.h"

namespace postpone::config {
namespace {

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

std::string read_text(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) throw std::system_error(errno, std::generic_category(), path);
  std::string text(kMaxFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) throw std::system_error(errno, std::generic_category(), path);
  if (text.size() > kMaxFileBytes)
    throw std::system_error(EFBIG, std::generic_category(), path + ": " + kTooLarge);
  return text;
}

ParseResult load(const std::string& path) {
  try {
    return parse(read_text(path), std::filesystem::path(path).parent_path().string(), Files::check, path);
  } catch (const std::system_error& error) {
    const bool too_large = error.code().value() == EFBIG;
    return unreadable(too_large ? kTooLarge : error.code().message());
  }
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
}

}  // namespace postpone::config

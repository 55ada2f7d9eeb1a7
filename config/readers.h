// Readers of the values that single keys may have; value.h has those of the plain types. For .cc files of
// this room only.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/value.h"

namespace postpone::config {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Reads one of these names, each of which stands for a value.
template <class T>
Reader<T> choice(const std::vector<std::pair<std::string_view, T>>& choices) {
  std::vector<std::string_view> names;
  std::vector<T> values;
  for (const auto& [name, value] : choices) {
    names.push_back(name);
    values.push_back(value);
  }
  return [which = one_of(std::move(names)), values = std::move(values)](const Value& value) {
    const auto index = which(value);
    return index ? std::optional<T>(values[*index]) : std::nullopt;
  };
}

// Names.
std::optional<std::string> plain_name(const Value& value);  // stands in log lines, process titles and metrics
std::optional<std::string> group_name(const Value& value);
std::optional<std::vector<std::string>> queue_names(const Value& value);
std::optional<std::string> log_level(const Value& value);
std::optional<Pairs> log_levels(const Value& value);
std::optional<Pairs> environment(const Value& value);

std::optional<std::string> queue_name(const Value& value);
std::optional<std::string> queue_name_or_none(const Value& value);

// Of schedules and retention.
std::optional<Milliseconds> age(const Value& value);  // up to a hundred years
std::optional<std::string> task_name(const Value& value);
std::optional<std::string> schedule_id(const Value& value);
std::optional<std::string> lock_name(const Value& value);
std::optional<std::string> cron(const Value& value);
std::optional<std::string> zone(const Value& value);         // which the host has
std::optional<std::string> json_object(const Value& value);  // a table, as JSON text

// What the host has.
std::optional<std::string> executable(const Value& value);
std::optional<std::string> socket_path(const Value& value);
std::optional<std::string> log_file(const Value& value);
std::optional<int> file_mode(const Value& value);
std::optional<std::string> system_group(const Value& value);
std::optional<std::string> system_user(const Value& value);

// What the log file also is, such as "the task executable of group kitchen": log lines would be written into
// that. Empty if it is nothing else. `path` is the configuration's own file, or empty.
std::string other_use_of_log_file(const Config& config, const std::string& path);

}  // namespace postpone::config

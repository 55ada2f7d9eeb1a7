// Names of groups, queues, log levels, log components and environment variables.
#include <algorithm>

#include "config/nearest.h"
#include "config/readers.h"
#include "config/sections.h"

namespace postpone::config {
namespace {

constexpr std::size_t kMaxNameLength = 63;
constexpr std::size_t kMaxQueueNameLength = 128;  // characters, as the column queue_name has them

}  // namespace

std::optional<std::string> queue_name(const Value& value) {
  auto name = text(value);
  if (!name) return std::nullopt;
  const auto continued = std::count_if(name->begin(), name->end(), is_continuation_byte);
  const std::size_t characters = name->size() - static_cast<std::size_t>(continued);
  if (characters >= 1 && characters <= kMaxQueueNameLength) return name;
  value.reject(characters == 0 ? "a queue name must not be empty"
                               : in_quotes(*name) + " is too long, a queue name has at most " +
                                     std::to_string(kMaxQueueNameLength) + " characters");
  return std::nullopt;
}

std::optional<std::string> queue_name_or_none(const Value& value) {
  const auto* const text = value.node.as_string();
  return text != nullptr && text->get().empty() ? std::optional(std::string()) : queue_name(value);
}

std::optional<std::string> plain_name(const Value& value) {
  auto name = text(value);
  if (!name) return std::nullopt;
  const auto is_plain = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name->size() <= kMaxNameLength && std::all_of(name->begin(), name->end(), is_plain)) return name;
  value.reject(in_quotes(*name) + " is impossible, a name has at most " + std::to_string(kMaxNameLength) +
               " letters, digits, '-', '_' and '.'");
  return std::nullopt;
}

std::optional<std::string> group_name(const Value& value) {
  auto name = plain_name(value);
  if (!name || !name->empty()) return name;
  value.reject("must not be empty");
  return std::nullopt;
}

std::optional<std::vector<std::string>> queue_names(const Value& value) {
  auto names = list(queue_name)(value);
  if (!names) return std::nullopt;
  for (auto name = names->begin(); name != names->end(); ++name) {
    if (std::find(names->begin(), name, *name) != name) value.reject(in_quotes(*name) + " is named twice");
  }
  return names;
}

std::optional<std::string> log_level(const Value& value) {
  const auto index = one_of({kLogLevels.begin(), kLogLevels.end()})(value);
  return index ? std::optional<std::string>(kLogLevels.at(*index)) : std::nullopt;
}

std::optional<Pairs> log_levels(const Value& value) {
  const toml::table* table = value.node.as_table();
  if (table == nullptr) {
    value.expected_type("a table such as { database = \"debug\" }");
    return std::nullopt;
  }
  const std::vector<std::string_view> components{kLogComponents.begin(), kLogComponents.end()};
  Pairs levels;
  for (const auto& [name, node] : *table) {
    const std::string shown = in_quotes(name.str()) + " in [log.levels]";
    if (std::find(components.begin(), components.end(), name.str()) == components.end()) {
      const auto near = nearest(name.str(), components);
      value.report.add(name.source(), shown + ": is no component, " +
                                          (near ? "did you mean " + in_quotes(*near) + "?"
                                                : "components are " + list_of(components)));
    } else if (auto level = log_level(Value{node, shown, value.directory, value.files, value.report})) {
      levels.emplace_back(name.str(), std::move(*level));
    }
  }
  return levels;
}

// A table of strings. A key of [[group]] in it was meant for the group: in TOML, what follows the header
// [group.environment] belongs to the environment, whatever its indentation.
std::optional<Pairs> environment(const Value& value) {
  const toml::table* table = value.node.as_table();
  if (table == nullptr) {
    value.expected_type("a table such as { LANG = \"C\" }");
    return std::nullopt;
  }
  Pairs variables;
  for (const auto& [name, node] : *table) {
    const std::string_view variable = name.str();
    const std::string shown = in_quotes(variable) + " in [group.environment]";
    if (is_group_key(variable)) {
      value.report.add(name.source(), shown + ": is a key of [[group]], move it above the environment");
    } else if (variable.empty() || variable.find_first_of(std::string_view("=\0", 2)) != std::string::npos) {
      value.report.add(name.source(), shown + ": is not the name of an environment variable");
    } else if (const Value secret{node, shown, value.directory, value.files, value.report};
               !node.is_string()) {
      secret.expected_type("a string in quotes");
    } else if (auto setting = text(secret)) {
      variables.emplace_back(variable, std::move(*setting));
    }
  }
  return variables;
}

}  // namespace postpone::config

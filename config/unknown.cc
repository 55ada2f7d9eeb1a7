// Names that are none: what they may have been meant for.
#include <algorithm>

#include "config/nearest.h"
#include "config/sections.h"

namespace postpone::config {
namespace {

// What the sections have in common, for messages.
struct Outline {
  std::string_view name;
  std::string_view heading;
  std::vector<std::string_view> keys;
};

template <class Section>
Outline outline(const Schema<Section>& schema) {
  Outline outline{schema.name, schema.heading, {}};
  for (const auto& key : schema.keys) outline.keys.push_back(key.name);
  return outline;
}

const std::vector<Outline>& outlines() {
  static const std::vector<Outline> all{
      outline(database_schema()),  outline(supervisor_schema()),      outline(stalled_schema()),
      outline(retention_schema()), outline(queue_retention_schema()), outline(log_schema()),
      outline(status_schema()),    outline(group_schema()),           outline(schedule_schema())};
  return all;
}

bool has_key(const Outline& section, std::string_view key) {
  return std::find(section.keys.begin(), section.keys.end(), key) != section.keys.end();
}

// The heading of the first section that has this key; empty when none has.
std::string home_of(std::string_view key) {
  for (const Outline& section : outlines()) {
    if (has_key(section, key)) return std::string(section.heading);
  }
  return {};
}

}  // namespace

bool is_group_key(std::string_view name) {
  return has_key(outline(group_schema()), name);
}

bool is_section(std::string_view name) {
  // One within another one is found there.
  const auto is_it = [name](const Outline& section) {
    return section.name == name && name.find('.') == std::string_view::npos;
  };
  return std::any_of(outlines().begin(), outlines().end(), is_it);
}

std::string unknown_key(std::string_view name, std::string_view heading) {
  const auto is_it = [heading](const Outline& section) { return section.heading == heading; };
  const auto& valid = std::find_if(outlines().begin(), outlines().end(), is_it)->keys;
  const std::string message = "unknown key " + in_quotes(name) + " in " + std::string(heading);
  // First: what a group calls "queues", a schedule calls "queue".
  if (const auto near = nearest(name, valid)) return message + ", did you mean " + in_quotes(*near) + "?";
  if (const std::string home = home_of(name); !home.empty()) return message + ", it belongs in " + home;
  return message + ", valid keys are " + list_of(valid);
}

std::string unknown_section(std::string_view name) {
  if (const std::string home = home_of(name); !home.empty()) {
    return "key " + in_quotes(name) + " stands outside of a section, it belongs in " + home;
  }
  std::vector<std::string_view> names;
  std::vector<std::string_view> headings;
  for (const Outline& section : outlines()) {
    names.push_back(section.name);
    headings.push_back(section.heading);
  }
  const std::string message = "unknown section " + in_quotes(name);
  const auto near = nearest(name, names);
  if (!near) return message + ", valid sections are " + list_of(headings);
  const auto index = std::find(names.begin(), names.end(), *near) - names.begin();
  return message + ", did you mean " + std::string(headings[static_cast<std::size_t>(index)]) + "?";
}

}  // namespace postpone::config

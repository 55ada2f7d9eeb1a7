// The sections of a configuration file: one table each that names its keys and, for each, the field it fills,
// the rule its value obeys, and what a reload does when it changes. The tables drive everything: what is
// read, what is unknown, what is suggested instead, what a supervisor does at a reload. For .cc files of this
// room only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/reload.h"
#include "config/value.h"

namespace postpone::config {

template <class Section>
struct Key {
  std::string_view name;
  Reload reload;
  std::function<void(const Value&, Section&)> read;
  std::function<bool(const Section&, const Section&)> same;  // the value in two configurations
  bool required = false;
};

template <class Section>
struct Schema {
  std::string_view name;
  std::string_view heading;  // as it stands in the file
  std::vector<Key<Section>> keys;
  std::string_view nested = {};  // a key that holds sections of another schema
};

const Schema<Database>& database_schema();
const Schema<Supervisor>& supervisor_schema();
const Schema<Stalled>& stalled_schema();
const Schema<Retention>& retention_schema();
const Schema<QueueRetention>& queue_retention_schema();
const Schema<Log>& log_schema();
const Schema<Status>& status_schema();
const Schema<Group>& group_schema();
const Schema<Schedule>& schedule_schema();

bool is_section(std::string_view name);
bool is_group_key(std::string_view name);

// Messages about a name that is none: what it may have been, where it belongs, or what there is. `heading` is
// one of the headings above.
std::string unknown_key(std::string_view name, std::string_view heading);
std::string unknown_section(std::string_view name);

}  // namespace postpone::config

#include "config/reload.h"

#include "config/sections.h"

namespace postpone::config {
namespace {

template <class Section>
void add_rules(const Schema<Section>& schema, std::vector<KeyRule>& rules) {
  for (const auto& key : schema.keys) rules.push_back({schema.name, key.name, key.reload});
}

template <class Section>
void add_changed(const Schema<Section>& schema, const Section& now, const Section& next,
                 std::vector<KeyRule>& changed) {
  for (const auto& key : schema.keys)
    if (!key.same(now, next)) changed.push_back({schema.name, key.name, key.reload});
}

// Of sections that come and go: all their keys count as changed. The same housekeeper reads all of them.
template <class Section>
void add_changed_list(const Schema<Section>& schema, const std::vector<Section>& now,
                      const std::vector<Section>& next, std::vector<KeyRule>& changed) {
  if (now == next) return;
  for (const auto& key : schema.keys) changed.push_back({schema.name, key.name, key.reload});
}

}  // namespace

std::string_view to_string(Reload reload) {
  switch (reload) {
    case Reload::restart:
      return "restart";
    case Reload::at_once:
      return "at once";
    case Reload::sub_workers:
      return "all sub-workers";
    case Reload::housekeeper:
      return "housekeeper";
    case Reload::all:
      return "all sub-workers, housekeeper";
    case Reload::group:
      return "group";
    case Reload::group_and_housekeeper:
      return "group, housekeeper";
  }
  return "";
}

std::vector<KeyRule> key_rules() {
  std::vector<KeyRule> rules;
  add_rules(database_schema(), rules);
  add_rules(supervisor_schema(), rules);
  add_rules(stalled_schema(), rules);
  add_rules(retention_schema(), rules);
  add_rules(queue_retention_schema(), rules);
  add_rules(log_schema(), rules);
  add_rules(status_schema(), rules);
  add_rules(group_schema(), rules);
  add_rules(schedule_schema(), rules);
  return rules;
}

std::vector<KeyRule> changed_keys(const Config& now, const Config& next) {
  std::vector<KeyRule> changed;
  add_changed(database_schema(), now.database, next.database, changed);
  add_changed(supervisor_schema(), now.supervisor, next.supervisor, changed);
  add_changed(stalled_schema(), now.stalled, next.stalled, changed);
  add_changed(retention_schema(), now.retention, next.retention, changed);
  add_changed_list(queue_retention_schema(), now.retention.queues, next.retention.queues, changed);
  add_changed(log_schema(), now.log, next.log, changed);
  add_changed(status_schema(), now.status, next.status, changed);
  add_changed_list(schedule_schema(), now.schedules, next.schedules, changed);
  return changed;
}

std::vector<KeyRule> changed_keys(const Group& now, const Group& next) {
  std::vector<KeyRule> changed;
  add_changed(group_schema(), now, next, changed);
  return changed;
}

bool replaces_sub_workers(Reload reload) {
  return reload == Reload::sub_workers || reload == Reload::all || reload == Reload::group ||
         reload == Reload::group_and_housekeeper;
}

bool replaces_housekeeper(Reload reload) {
  return reload == Reload::housekeeper || reload == Reload::all || reload == Reload::group_and_housekeeper;
}

}  // namespace postpone::config

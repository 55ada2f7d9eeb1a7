#include "config/keep.h"

#include <toml++/toml.h>

#include <sstream>

namespace postpone::config {

std::string keep_keys(std::string_view next, std::string_view now, const std::vector<SectionAndKey>& keys) {
  toml::table kept = toml::parse(next);
  const toml::table current = toml::parse(now);
  for (const auto& [section, key] : keys) {
    const toml::node* value = current[section][key].node();
    if (!kept.contains(section)) kept.insert(section, toml::table{});
    toml::table& table = *kept[section].as_table();
    if (value)
      table.insert_or_assign(key, *value);
    else
      table.erase(key);
  }
  std::ostringstream text;
  text << kept << '\n';
  return text.str();
}

}  // namespace postpone::config

#include "tests/support/json_schema.h"

#include <algorithm>
#include <regex>
#include <set>
#include <stdexcept>

namespace postpone::tests {
namespace {

using nlohmann::json;

bool is_of_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  throw std::invalid_argument("unknown type " + type);
}

class Validator {
 public:
  explicit Validator(const json& root) : root_(root) {}

  void check(const json& value, const json& schema, const std::string& place) {
    for (const auto& [keyword, rule] : schema.items()) apply(keyword, rule, value, schema, place);
  }

  std::vector<std::string> found;

 private:
  void apply(const std::string& keyword, const json& rule, const json& value, const json& schema,
             const std::string& place) {
    static const std::set<std::string> notes{"$schema", "$defs", "title", "description"};
    if (notes.contains(keyword)) return;
    if (keyword == "$ref") return check(value, resolve(rule), place);
    if (keyword == "type") return check_type(value, rule, place);
    if (keyword == "const") return expect(value == rule, place, "is not " + rule.dump());
    if (keyword == "enum")
      return expect(std::find(rule.begin(), rule.end(), value) != rule.end(), place,
                    value.dump() + " is none of " + rule.dump());
    if (keyword == "minimum")
      return expect(!value.is_number() || value >= rule, place,
                    value.dump() + " is less than " + rule.dump());
    if (keyword == "maxItems")
      return expect(!value.is_array() || value.size() <= rule, place,
                    "has more than " + rule.dump() + " elements");
    if (keyword == "pattern")
      return expect(!value.is_string() ||
                        std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>())),
                    place, value.dump() + " does not match");
    if (keyword == "anyOf") return check_any(value, rule, place);
    if (keyword == "required") return check_required(value, rule, place);
    if (keyword == "properties") return check_properties(value, rule, place);
    if (keyword == "items") return check_items(value, rule, place);
    throw std::invalid_argument("unknown keyword " + keyword + " in " + schema.dump());
  }

  const json& resolve(const std::string& reference) const {
    return root_.at(json::json_pointer(reference.substr(1)));
  }

  void expect(bool holds, const std::string& place, const std::string& what) {
    if (!holds) found.push_back(place + ": " + what);
  }

  void check_type(const json& value, const json& rule, const std::string& place) {
    const auto types =
        rule.is_array() ? rule.get<std::vector<std::string>>() : std::vector{rule.get<std::string>()};
    const bool fits =
        std::any_of(types.begin(), types.end(), [&](const auto& type) { return is_of_type(value, type); });
    expect(fits, place, value.dump() + " is not of type " + rule.dump());
  }

  void check_any(const json& value, const json& rule, const std::string& place) {
    std::vector<std::string> all;
    for (const json& alternative : rule) {
      Validator attempt(root_);
      attempt.check(value, alternative, place);
      if (attempt.found.empty()) return;
      all.insert(all.end(), attempt.found.begin(), attempt.found.end());
    }
    found.insert(found.end(), all.begin(), all.end());
  }

  void check_required(const json& value, const json& rule, const std::string& place) {
    if (!value.is_object()) return;
    for (const std::string name : rule) expect(value.contains(name), place, "lacks \"" + name + '"');
  }

  void check_properties(const json& value, const json& rule, const std::string& place) {
    if (!value.is_object()) return;
    for (const auto& [name, element] : value.items()) {
      if (rule.contains(name))
        check(element, rule.at(name), place + "/" + name);
      else
        expect(false, place, "has \"" + name + "\", which the schema does not know");
    }
  }

  void check_items(const json& value, const json& rule, const std::string& place) {
    if (!value.is_array()) return;
    for (std::size_t i = 0; i < value.size(); ++i) check(value[i], rule, place + "/" + std::to_string(i));
  }

  const json& root_;
};

}  // namespace

std::vector<std::string> violations(const nlohmann::json& document, const nlohmann::json& schema) {
  Validator validator(schema);
  validator.check(document, schema, "");
  return validator.found;
}

}  // namespace postpone::tests

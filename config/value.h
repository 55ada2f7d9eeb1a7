// Values of a configuration file and how they are read: each reader returns a value, or reports what is wrong
// with it and returns nothing. For .cc files of this room only, since it brings toml++ along.
//
// Strings are shown in a message only where the key can hold no secret.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace postpone::config {

// poll(2) and PostgreSQL's settings count milliseconds in an int, which ends after 24.8 days.
inline constexpr Milliseconds kLongest = std::chrono::hours{24 * 24};
inline constexpr Milliseconds kShortest{1};

// All that is wrong with the file.
class Report {
 public:
  void add(const toml::source_region& where, std::string message);
  std::size_t size() const { return problems_.size(); }

  // In the order of the file: toml++ hands out keys in alphabetical order.
  std::vector<Problem> sorted() &&;

 private:
  std::vector<Problem> problems_;
};

// `text` in quotes, short and safe for one line of a terminal.
std::string in_quotes(std::string_view text);
// "a table", "a string", …
std::string type_of(const toml::node& node);
// a, b, c
std::string list_of(const std::vector<std::string_view>& texts);
// Of UTF-8.
bool is_continuation_byte(char c);

// A value of the file and what its reader may want to know about it.
struct Value {
  const toml::node& node;
  std::string name;  // as messages call it: "count" in [[group]]
  const std::string& directory;
  Files files;
  Report& report;

  void reject(const std::string& why) const { report.add(node.source(), name + ": " + why); }
  void expected(const std::string& what, const std::string& hint = {}) const;
  // The same for values that are long or may be secret.
  void expected_type(const std::string& what) const;
};

template <class T>
using Reader = std::function<std::optional<T>(const Value&)>;

std::optional<bool> boolean(const Value& value);
std::optional<std::string> text(const Value& value);
// An array whose elements `element` reads.
Reader<std::vector<std::string>> list(Reader<std::string> element);
Reader<int> integer(int lowest, int highest);
Reader<Milliseconds> duration(Milliseconds shortest, Milliseconds longest = kLongest);
Reader<std::int64_t> size(std::int64_t lowest);
// Which of these names it is, by its index.
Reader<std::size_t> one_of(std::vector<std::string_view> names);

}  // namespace postpone::config

// What a request asks for: the path, and the names and values behind the question mark.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postpone::web {

// Every byte but letters, digits and -._~ as %XX.
std::string percent_encoded(std::string_view text);
// Nothing when a % stands without two digits. `plus_is_space`: as a form sends it.
std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space);

class Query {
 public:
  // Of what stands behind the question mark. Pairs that cannot be read, and values that the database does not
  // know as text (a NUL, bytes that are no UTF-8), are left out. Of more than kMostPairs the rest is left out.
  static Query parse(std::string_view text);
  static constexpr std::size_t kMostPairs = 64;

  // The first value of that name; empty when there is none.
  std::string get(std::string_view name) const;
  // A whole number from 1; nothing when it is none.
  std::optional<std::int64_t> id(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// A whole number from 1 to the greatest bigint, in digits and nothing else.
std::optional<std::int64_t> parse_id(std::string_view text);

struct Target {
  std::string path;  // decoded
  Query query;
};
// Nothing when it is no path of a server, or holds what no path of ours does.
std::optional<Target> parse_target(std::string_view target);

// Whether it leads to a page of this server: begins with one slash. Browsers take // and /\ for another server.
bool is_local_path(std::string_view text);

}  // namespace postpone::web

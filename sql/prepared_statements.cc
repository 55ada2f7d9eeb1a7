#include "sql/prepared_statements.h"

#include <cstdint>
#include <cstdio>

namespace postpone::sql {
namespace {

// FNV-1a, so that all programs of all builds give a text the same name.
std::string name_for(std::string_view sql) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : sql) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  char name[32];
  std::snprintf(name, sizeof name, "postpone_%016llx", static_cast<unsigned long long>(hash));
  return name;
}

}  // namespace

PreparedStatements::Name PreparedStatements::name_of(const std::string& sql) {
  std::string name = name_for(sql);
  // Prepared from now on: the next use may be in the same pipeline.
  const bool is_new = prepared_.insert(name).second;
  return {std::move(name), is_new};
}

bool PreparedStatements::gives_up_after(std::string_view sqlstate) {
  constexpr std::string_view kUnknownStatement = "26000";
  constexpr std::string_view kKnownStatement = "42P05";
  constexpr std::string_view kCannot = "0A000";  // "cached plan must not change result type", among others
  if (!are_allowed()) return false;
  if (sqlstate != kUnknownStatement && sqlstate != kKnownStatement && sqlstate != kCannot) return false;
  use_ = Use::given_up;
  return true;
}

}  // namespace postpone::sql

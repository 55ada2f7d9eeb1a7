#include "sql/prepared_statements.h"

namespace postpone::sql {

PreparedStatements::Name PreparedStatements::name_of(const std::string& sql) {
  const auto [known, is_first] = numbers_.try_emplace(sql, numbers_.size());
  const std::size_t number = known->second;
  if (is_first) is_prepared_.push_back(false);
  const bool is_new = !is_prepared_[number];
  is_prepared_[number] = true;  // for the next use, which may be in the same pipeline
  return {number, "postpone_" + std::to_string(number), is_new};
}

bool PreparedStatements::gives_up_after(std::string_view sqlstate) {
  constexpr std::string_view kUnknownStatement = "26000";
  constexpr std::string_view kKnownStatement = "42P05";
  constexpr std::string_view kCannot = "0A000";  // "cached plan must not change result type", among others
  if (!allowed_) return false;
  if (sqlstate != kUnknownStatement && sqlstate != kKnownStatement && sqlstate != kCannot) return false;
  allowed_ = false;
  refused_ = true;
  return true;
}

}  // namespace postpone::sql

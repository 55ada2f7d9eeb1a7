// Which jobs a JobFilter chooses, as SQL. Internal to sql/.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sql/connection.h"
#include "sql/job.h"

namespace postpone::sql {

// Conditions of a filter and their parameters.
class Where {
 public:
  template <class T>
  void equals(const std::string& column, const std::optional<T>& value) {
    if (!value) return;
    parameters_.emplace_back(to_parameter(*value));
    add(column + " = $" + std::to_string(parameters_.size()));
  }
  // As literals: a plan for known labels may use the partial indexes.
  void is_any_of(const std::string& column, const std::vector<JobStatus>& statuses) {
    if (statuses.empty()) return;
    std::string labels;
    for (const JobStatus status : statuses) {
      labels += (labels.empty() ? "'" : ", '") + std::string(to_string(status)) + "'";
    }
    add(column + " in (" + labels + ")");
  }
  std::string take_sql() { return std::move(sql_); }
  std::vector<Parameter> take_parameters() { return std::move(parameters_); }

 private:
  void add(const std::string& condition) { sql_ += (sql_.empty() ? " where " : " and ") + condition; }

  std::string sql_;
  std::vector<Parameter> parameters_;
};

// For a table called j.
Where where_of(const JobFilter& filter);

}  // namespace postpone::sql

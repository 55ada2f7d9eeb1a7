// What the files of the fleet share. Internal to sql/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/connection.h"
#include "sql/fleet.h"
#include "sql/overview_rows.h"

namespace postpone::sql {

struct Fleet::Impl {
  Impl(const ConnectOptions& options, bool hide) : connection(options), hide_arguments(hide) {}

  // Reads, in a transaction that cannot write. The first result is that of the reading.
  std::vector<Result> read(std::vector<Statement> statements);

  Connection connection;
  bool hide_arguments;
};

Reading reading_of(const Row& row);

// "(select count(*) … limit …)": how many rows `from_where` has, up to one more than kMostCounted. The order is that of
// an index, so that the planner walks along it instead of through the table.
std::string bounded(const std::string& from_where_order);
BoundedCount bounded_of(const Row& row, int column, std::int64_t most = kMostCounted);

// How much of a job's arguments is read.
enum class ArgumentsRead { none, beginning, all };

// The columns that job_line_of() reads, and the joins they want, of a job called j.
std::string job_line_columns(ArgumentsRead arguments);
inline constexpr int kJobLineColumns = 16;
std::string job_line_joins();
FleetJob job_line_of(const Row& row);

// The SQL for a row of procrastinate_jobs j: what state_at() reads, one column.
std::string state_column(std::string_view alias);
State state_at(const Row& row, int column);

InLine in_line_of(const Row& row, int first);
std::string in_line_columns(std::string_view alias);

}  // namespace postpone::sql

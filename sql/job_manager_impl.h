// What the files of the job manager share. Internal to sql/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/after_conflict.h"
#include "sql/connection.h"
#include "sql/job_manager.h"

namespace postpone::sql {

struct JobManager::Impl {
  explicit Impl(const ConnectOptions& options) : connection(options) {}
  // For statements that are a transaction by themselves, unless begin() came before: then their caller has to
  // begin again.
  std::vector<Result> transact(const std::vector<Statement>& statements) {
    if (in_transaction) return connection.pipeline(statements);
    return again_after_conflict([&] { return connection.pipeline(statements); });
  }

  Connection connection;
  bool in_transaction = false;
};

// The columns that job_of() reads, of a table or function called `alias`.
std::string job_columns(const std::string& alias);
inline constexpr int kJobColumns = 9;
Job job_of(const Row& row);
// Which column that is depends on the rest of the query.
std::optional<std::string> meta_of(const Row& row, int column);

[[noreturn]] void throw_unknown_label(std::string_view label);
// The label in this column as a value of ours. Throws DatabaseError (bug) for one that this program does not
// know.
template <class T>
T known(std::optional<T> value, std::string_view label) {
  if (!value) throw_unknown_label(label);
  return *value;
}
JobStatus status_of(const Row& row, int column);

// Of the columns job_id, attempt, cause, exception_type, message, signal, exit_status, stderr_tail, run_time, cpu_time,
// max_rss, worker_id, worker_name, ended_at; the texts without nulls.
Attempt attempt_of(const Row& row);

inline constexpr std::string_view kRecordedColumns = "job_id, disposition, by_job_id, status";
Recorded recorded_of(const Row& row);

std::string json_array(const OutcomeTexts& outcomes);

// Throws DatabaseError (bug) for what fault_of() finds.
void refuse_faults(const DeferRequest& request);

inline std::vector<std::int64_t> ids_of(const Result& result) {
  return each(result, [](const Row& row) { return row.get<std::int64_t>(0); });
}

}  // namespace postpone::sql

// Rows of the database as the values that callers of the job manager get.
#include <utility>

#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

Disposition disposition_of(std::string_view label) {
  if (label == "recorded") return Disposition::recorded;
  if (label == "superseded") return Disposition::superseded;
  if (label == "already_recorded") return Disposition::already_recorded;
  if (label == "gone") return Disposition::gone;
  if (label == "reported") return Disposition::reported;
  if (label == "still_running") return Disposition::still_running;
  return known(std::optional<Disposition>(), label);
}

}  // namespace

std::string job_columns(const std::string& alias) {
  const std::string a = alias + ".";
  return a + "id, " + a + "queue_name, " + a + "task_name, " + a + "priority, " + a + "lock, " + a +
         "queueing_lock, " + a + "args, " + microseconds_of(a + "scheduled_at") + ", " + a + "attempts";
}

Job job_of(const Row& row) {
  Job job;
  job.id = row.get<JobId>(0);
  job.queue = row.get<std::string>(1);
  job.task = row.get<std::string>(2);
  job.priority = row.get<int>(3);
  job.lock = row.get<std::optional<std::string>>(4);
  job.queueing_lock = row.get<std::optional<std::string>>(5);
  job.args = row.get<std::string>(6);
  job.scheduled_at = row.get<std::optional<DatabaseTime>>(7);
  job.attempts = row.get<int>(8);
  return job;
}

Attempt attempt_of(const Row& row) {
  Attempt attempt;
  attempt.job_id = row.get<JobId>(0);
  attempt.attempt = row.get<int>(1);
  attempt.cause = known(parse_cause(row.text(2)), row.text(2));
  attempt.exception_type = row.get<std::string>(3);
  attempt.message = row.get<std::string>(4);
  attempt.signal = row.get<std::optional<int>>(5);
  attempt.exit_status = row.get<std::optional<int>>(6);
  attempt.stderr_tail = row.get<std::string>(7);
  if (!row.is_null(8)) attempt.run_time = Seconds(row.get<double>(8));
  if (!row.is_null(9)) attempt.cpu_time = Seconds(row.get<double>(9));
  attempt.max_rss_bytes = row.get<std::optional<std::int64_t>>(10);
  attempt.worker_id = row.get<std::optional<WorkerId>>(11);
  attempt.worker_name = row.get<std::string>(12);
  attempt.ended_at = row.get<DatabaseTime>(13);
  return attempt;
}

// An object that says nothing is none, and so is what is no object: the column admits any JSON, and what is only passed on must not
// keep its job from running.
std::optional<std::string> meta_of(const Row& row, int column) {
  auto meta = row.get<std::optional<std::string>>(column);
  return meta && meta->starts_with('{') && meta != "{}" ? std::move(meta) : std::nullopt;
}

void throw_unknown_label(std::string_view label) {
  throw DatabaseError(Remedy::bug, "the database sent the label \"" + std::string(label) +
                                       "\", which this program does not know");
}

JobStatus status_of(const Row& row, int column) {
  return known(parse_job_status(row.text(column)), row.text(column));
}

Recorded recorded_of(const Row& row) {
  Recorded recorded;
  recorded.job_id = row.get<JobId>(0);
  recorded.disposition = disposition_of(row.text(1));
  recorded.by = row.get<std::optional<JobId>>(2);
  if (!row.is_null(3)) recorded.status = status_of(row, 3);
  return recorded;
}

std::string json_array(const OutcomeTexts& outcomes) {
  std::string array = "[";
  std::size_t bytes = 2;
  for (const std::string& outcome : outcomes) bytes += outcome.size() + 1;
  array.reserve(bytes);
  for (const std::string& outcome : outcomes) {
    if (array.size() > 1) array += ',';
    array += outcome;
  }
  return array + "]";
}

}  // namespace postpone::sql

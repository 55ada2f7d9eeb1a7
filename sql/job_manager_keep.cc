// Housekeeping of what comes again and what has gone: ticks of schedules, and jobs that ended long ago.
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

using nlohmann::json;

// Arguments are the text that they are, so that no number changes.
std::string json_of(const ServedSchedule& schedule) {
  const DeferRequest& job = schedule.job;
  const auto or_null = [](const std::optional<std::string>& text) {
    return text ? json(*text) : json(nullptr);
  };
  std::string text = json{{"task", job.task},          {"id", schedule.periodic_id},
                          {"cron", schedule.cron},     {"zone", schedule.zone},
                          {"missed", schedule.missed}, {"missed_within_s", schedule.missed_within.count()},
                          {"queue", job.queue},        {"priority", job.priority},
                          {"lock", or_null(job.lock)}, {"queueing_lock", or_null(job.queueing_lock)}}
                         .dump();
  text.pop_back();
  return text + ",\"args\":" + job.args + "}";
}

std::vector<std::string> labels_of(const std::vector<JobStatus>& statuses) {
  std::vector<std::string> labels;
  for (const JobStatus status : statuses) labels.emplace_back(to_string(status));
  return labels;
}

}  // namespace

std::optional<JobId> JobManager::defer_periodic(const PeriodicDefer& defer) {
  refuse_faults(defer.job);
  const DeferRequest& job = defer.job;
  const Result result = impl_->connection.query(
      "select job_id, disposition from postpone_defer_tick($1::varchar, $2::varchar, $3::bigint, $4::varchar,"
      " $5::int, $6::text, $7::text, $8::jsonb || jsonb_build_object('timestamp', $3::bigint))",
      {job.task, defer.periodic_id, to_parameter(defer.timestamp), job.queue, to_parameter(job.priority),
       job.lock, job.queueing_lock, job.args});
  const Row row = result.only();
  if (row.text(1) == "enqueued")
    throw AlreadyEnqueued(DatabaseError(Remedy::conflict, "", "23505"), job.queueing_lock.value_or(""));
  return row.get<std::optional<JobId>>(0);
}

std::vector<std::int64_t> JobManager::announce_schedules(const std::string& supervisor,
                                                         const std::vector<ServedSchedule>& schedules) {
  OutcomeTexts texts;
  for (const ServedSchedule& schedule : schedules) {
    refuse_faults(schedule.job);
    texts.push_back(json_of(schedule));
  }
  std::map<std::pair<std::string, std::string>, std::int64_t> done;
  for (const Row row : impl_->connection.query(
           "select task, id, done_until from postpone_announce_schedules($1::text, $2::jsonb)",
           {supervisor, json_array(texts)}))
    done[{row.get<std::string>(0), row.get<std::string>(1)}] = row.get<std::int64_t>(2);
  std::vector<std::int64_t> answers;
  for (const ServedSchedule& schedule : schedules)
    answers.push_back(done.at({schedule.job.task, schedule.periodic_id}));
  return answers;
}

std::optional<Removed> JobManager::remove_ended(const RetentionRequest& request) {
  std::vector<std::string> rules;
  for (const auto& [status, queue] : request.rules)
    rules.push_back(std::string(to_string(status)) + " " + queue);
  const Result result = impl_->connection.query(
      "select up_to_event, removed, is_end from postpone_remove_ended_jobs($1::bigint, $2::int,"
      " $3::double precision, $4::text[], $5::text[], $6::text[])",
      {to_parameter(request.after_event), to_parameter(request.most_events),
       to_parameter(request.older_than.count()), to_parameter(labels_of(request.statuses)),
       to_parameter(request.own_queues), to_parameter(rules)});
  if (result.empty()) return std::nullopt;
  const Row row = result.only();
  return Removed{row.get<std::int64_t>(0), row.get<std::int64_t>(1), row.get<bool>(2)};
}

}  // namespace postpone::sql

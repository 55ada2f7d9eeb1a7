#include "config/sections.h"

#include <limits>
#include <type_traits>
#include <utility>

#include "config/readers.h"

namespace postpone::config {
namespace {

constexpr int kMaxSubworkersPerGroup = 512;
constexpr int kMaxPoolSize = kMaxSubworkers;  // more connections than sub-workers would idle
constexpr int kMaxJobs = 1'000'000'000;
constexpr int kMaxRescues = 1000;

template <class Section, class T>
Key<Section> key(std::string_view name, Reload reload, T Section::*field,
                 Reader<std::type_identity_t<T>> reader) {
  return {.name = name,
          .reload = reload,
          .read =
              [field, reader = std::move(reader)](const Value& value, Section& section) {
                if (auto read = reader(value)) section.*field = std::move(*read);
              },
          .same = [field](const Section& a, const Section& b) { return a.*field == b.*field; }};
}

// What is read is a value that need not stand in the file.
template <class T>
Reader<std::optional<T>> some(Reader<T> reader) {
  return [reader = std::move(reader)](const Value& value) -> std::optional<std::optional<T>> {
    auto read = reader(value);
    if (!read) return std::nullopt;
    return std::optional<T>(std::move(*read));
  };
}

template <class Section>
Key<Section> required(Key<Section> key) {
  key.required = true;
  return key;
}

}  // namespace

const Schema<Database>& database_schema() {
  static const Schema<Database> schema{
      .name = "database",
      .heading = "[database]",
      .keys =
          {
              key("url", Reload::restart, &Database::url, text),
              key("listen_url", Reload::at_once, &Database::listen_url, text),
              key("listen", Reload::at_once, &Database::listen, boolean),
              key("pool_size", Reload::at_once, &Database::pool_size, integer(0, kMaxPoolSize)),
              key("connect_timeout", Reload::all, &Database::connect_timeout, duration(kShortest)),
              key("statement_timeout", Reload::all, &Database::statement_timeout, duration(kShortest)),
          },
  };
  return schema;
}

const Schema<Supervisor>& supervisor_schema() {
  static const Schema<Supervisor> schema{
      .name = "supervisor",
      .heading = "[supervisor]",
      .keys =
          {
              key("name", Reload::restart, &Supervisor::name, plain_name),
              key("polling_interval", Reload::all, &Supervisor::polling_interval, duration(kShortest)),
              key("shutdown_grace", Reload::all, &Supervisor::shutdown_grace, duration(Milliseconds{0})),
              key("start_deadline", Reload::sub_workers, &Supervisor::start_deadline, duration(kShortest)),
              key("subworker_timeout", Reload::sub_workers, &Supervisor::subworker_timeout,
                  duration(kShortest)),
              key("respawn_backoff", Reload::at_once, &Supervisor::respawn_backoff, duration(kShortest)),
              key("respawn_backoff_max", Reload::at_once, &Supervisor::respawn_backoff_max,
                  duration(kShortest)),
              key("heartbeat_interval", Reload::restart, &Supervisor::heartbeat_interval,
                  duration(kShortest)),
              key("fence_after", Reload::restart, &Supervisor::fence_after, duration(kShortest)),
              key("stalled_after", Reload::restart, &Supervisor::stalled_after, duration(kShortest)),
          },
  };
  return schema;
}

const Schema<Stalled>& stalled_schema() {
  static const auto action = choice<StalledAction>(
      {{"retry", StalledAction::retry}, {"fail", StalledAction::fail}, {"report", StalledAction::report}});
  static const Schema<Stalled> schema{
      .name = "stalled",
      .heading = "[stalled]",
      .keys =
          {
              key("action", Reload::housekeeper, &Stalled::action, action),
              key("foreign_action", Reload::housekeeper, &Stalled::foreign_action, action),
              key("max_stalled", Reload::housekeeper, &Stalled::max_stalled, integer(1, kMaxRescues)),
          },
  };
  return schema;
}

const Schema<Retention>& retention_schema() {
  static const Schema<Retention> schema{
      .name = "retention",
      .heading = "[retention]",
      .keys =
          {
              key("succeeded", Reload::housekeeper, &Retention::succeeded, age),
              key("failed", Reload::housekeeper, &Retention::failed, age),
              key("cancelled", Reload::housekeeper, &Retention::cancelled, age),
              key("aborted", Reload::housekeeper, &Retention::aborted, age),
          },
      .nested = "queue",
  };
  return schema;
}

const Schema<QueueRetention>& queue_retention_schema() {
  static const Schema<QueueRetention> schema{
      .name = "retention.queue",
      .heading = "[[retention.queue]]",
      .keys =
          {
              required(key("name", Reload::housekeeper, &QueueRetention::name, queue_name)),
              key("succeeded", Reload::housekeeper, &QueueRetention::succeeded, some<Milliseconds>(age)),
              key("failed", Reload::housekeeper, &QueueRetention::failed, some<Milliseconds>(age)),
              key("cancelled", Reload::housekeeper, &QueueRetention::cancelled, some<Milliseconds>(age)),
              key("aborted", Reload::housekeeper, &QueueRetention::aborted, some<Milliseconds>(age)),
          },
  };
  return schema;
}

const Schema<Log>& log_schema() {
  static const Schema<Log> schema{
      .name = "log",
      .heading = "[log]",
      .keys =
          {
              key("level", Reload::at_once, &Log::level, log_level),
              key("levels", Reload::at_once, &Log::levels, log_levels),
              key("format", Reload::all, &Log::format,
                  choice<LogFormat>({{"text", LogFormat::text}, {"json", LogFormat::json}})),
              key("file", Reload::all, &Log::file, log_file),
          },
  };
  return schema;
}

const Schema<Status>& status_schema() {
  static const Schema<Status> schema{
      .name = "status",
      .heading = "[status]",
      .keys =
          {
              key("socket", Reload::restart, &Status::socket, socket_path),
              key("mode", Reload::restart, &Status::mode, file_mode),
              key("group", Reload::restart, &Status::group, system_group),
          },
  };
  return schema;
}

const Schema<Group>& group_schema() {
  static const Schema<Group> schema{
      .name = "group",
      .heading = "[[group]]",
      .keys =
          {
              required(key("name", Reload::group, &Group::name, group_name)),
              required(key("executable", Reload::group_and_housekeeper, &Group::executable, executable)),
              key("arguments", Reload::group_and_housekeeper, &Group::arguments, list(text)),
              key("user", Reload::group_and_housekeeper, &Group::user, system_user),
              key("environment", Reload::group_and_housekeeper, &Group::environment, environment),
              key("queues", Reload::group_and_housekeeper, &Group::queues, queue_names),
              key("count", Reload::at_once, &Group::count, integer(1, kMaxSubworkersPerGroup)),
              key("prefetch", Reload::group, &Group::prefetch, integer(1, kMaxPrefetch)),
              key("prefetch_horizon", Reload::group, &Group::prefetch_horizon, duration(Milliseconds{1})),
              key("delete_jobs", Reload::group, &Group::delete_jobs,
                  choice<DeleteJobs>({{"never", DeleteJobs::never},
                                      {"successful", DeleteJobs::successful},
                                      {"always", DeleteJobs::always}})),
              key("events", Reload::group, &Group::events,
                  choice<KeepEvents>({{"full", KeepEvents::full}, {"none", KeepEvents::none}})),
              key("attempts", Reload::group, &Group::attempts,
                  choice<KeepAttempts>({{"full", KeepAttempts::full}, {"failures", KeepAttempts::failures}})),
              key("unknown_task", Reload::group, &Group::unknown_task,
                  choice<UnknownTask>({{"fail", UnknownTask::fail},
                                       {"retry", UnknownTask::retry},
                                       {"leave", UnknownTask::leave}})),
              key("bad_arguments", Reload::group, &Group::bad_arguments,
                  choice<BadArguments>({{"fail", BadArguments::fail}, {"retry", BadArguments::retry}})),
              key("fresh_process_per_job", Reload::group, &Group::fresh_process_per_job, boolean),
              key("max_jobs", Reload::group, &Group::max_jobs, integer(0, kMaxJobs)),
              key("max_jobs_jitter", Reload::group, &Group::max_jobs_jitter, integer(0, kMaxJobs)),
              key("max_rss", Reload::group, &Group::max_rss, size(0)),
              key("memory_limit", Reload::group, &Group::memory_limit, size(0)),
              key("max_age", Reload::group, &Group::max_age, duration(Milliseconds{0})),
              key("time_limit", Reload::group, &Group::time_limit, duration(Milliseconds{0})),
              key("slow_after", Reload::group, &Group::slow_after, duration(Milliseconds{0})),
              key("abort_grace", Reload::group, &Group::abort_grace, duration(Milliseconds{0})),
              key("max_output", Reload::group, &Group::max_output, size(1)),
          },
  };
  return schema;
}

const Schema<Schedule>& schedule_schema() {
  using libtask::wire::Missed;
  static const Schema<Schedule> schema{
      .name = "schedule",
      .heading = "[[schedule]]",
      .keys =
          {
              required(key("task", Reload::housekeeper, &Schedule::task, task_name)),
              required(key("cron", Reload::housekeeper, &Schedule::cron, cron)),
              key("id", Reload::housekeeper, &Schedule::id, schedule_id),
              key("zone", Reload::housekeeper, &Schedule::zone, zone),
              key("arguments", Reload::housekeeper, &Schedule::arguments, json_object),
              key("missed", Reload::housekeeper, &Schedule::missed,
                  choice<Missed>({{"skip", Missed::skip}, {"last", Missed::last}, {"all", Missed::all}})),
              key("missed_within", Reload::housekeeper, &Schedule::missed_within, age),
              key("queue", Reload::housekeeper, &Schedule::queue, queue_name_or_none),
              key("priority", Reload::housekeeper, &Schedule::priority,
                  some<int>(integer(std::numeric_limits<int>::min(), std::numeric_limits<int>::max()))),
              key("lock", Reload::housekeeper, &Schedule::lock, lock_name),
              key("queueing_lock", Reload::housekeeper, &Schedule::queueing_lock, lock_name),
          },
  };
  return schema;
}

}  // namespace postpone::config

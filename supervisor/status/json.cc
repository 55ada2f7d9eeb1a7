#include "supervisor/status/json.h"

#include <spdlog/fmt/fmt.h>

#include <ctime>
#include <nlohmann/json.hpp>

namespace postpone::supervisor::status {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, board::kEndings> kEndingNames{"succeeded", "failed", "retried", "aborted"};

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}
double seconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const char* ending_name(std::int64_t ending) {
  const bool known = ending >= 0 && ending < static_cast<std::int64_t>(board::kEndings);
  return known ? kEndingNames.at(static_cast<std::size_t>(ending)) : "unknown";
}

// The moment of a snapshot, to which all its times are related.
class Moment {
 public:
  explicit Moment(const Snapshot& s) : now_ns_(s.now_ns), now_unix_ns_(s.now_unix_ns) {}

  Json at(std::int64_t ns) const { return ns == 0 ? Json() : Json(iso_time(now_unix_ns_ - (now_ns_ - ns))); }
  Json ago(std::int64_t ns) const {
    return ns == 0 ? Json() : Json(seconds(std::max<std::int64_t>(0, now_ns_ - ns)));
  }
  Json ahead(std::int64_t ns) const {
    return ns == 0 ? Json() : Json(seconds(std::max<std::int64_t>(0, ns - now_ns_)));
  }
  Json of(const std::optional<Trouble>& trouble) const {
    if (!trouble) return nullptr;
    return {{"at", at(trouble->at_ns)}, {"age_s", ago(trouble->at_ns)}, {"message", trouble->text}};
  }

 private:
  const std::int64_t now_ns_;
  const std::int64_t now_unix_ns_;
};

std::string version_text(int number) {
  return number == 0 ? "" : fmt::format("{}.{}", number / 10'000, number % 10'000);
}

Json supervisor(const Snapshot& s, const Judgement& judgement, const Moment& moment) {
  const Process& process = s.supervisor;
  Json reload;
  if (process.last_reload)
    reload = {{"at", moment.at(process.last_reload->at_ns)},
              {"ok", process.last_reload->ok},
              {"message", process.last_reload->message}};
  return {{"version", process.version},
          {"name", process.name},
          {"pid", process.pid},
          {"started_at", moment.at(process.started_ns)},
          {"uptime_s", moment.ago(process.started_ns)},
          {"state", kStateNames.at(static_cast<std::size_t>(judgement.state))},
          {"reasons", judgement.reasons},
          {"ready", judgement.not_ready.empty()},
          {"config_file", process.config_file},
          {"last_reload", reload},
          {"cpu_s", process.cpu_s},
          {"rss_bytes", process.rss_bytes}};
}

Json database(const Snapshot& s, const Moment& moment) {
  const Database& d = s.database;
  const Listen& l = s.listen;
  const std::uint64_t reconnects = d.connections > 0 ? d.connections - 1 : 0;
  return {{"state", d.up ? "up" : "down"},
          {"since", moment.at(d.since_ns)},
          {"server_version", text_or_null(version_text(d.server_version))},
          {"reconnects", reconnects},
          {"last_error", moment.of(d.last_error)},
          {"listen",
           {{"state", l.wanted ? l.connection : "off"},
            {"since", moment.at(l.since_ns)},
            {"reconnects", l.reconnects},
            {"notifications", l.notifications},
            {"last_notification_at", moment.at(l.last_notification_ns)},
            {"last_probe_at", moment.at(l.last_probe_ns)},
            {"last_error", moment.of(l.last_error)}}},
          {"pool",
           {{"size", s.pool.size},
            {"held", s.pool.held},
            {"waiting", s.pool.waiting},
            {"longest_wait_s", seconds(s.pool.longest_wait_ns)}}}};
}

Json end(const std::optional<End>& end, const Moment& moment) {
  if (!end) return nullptr;
  return {{"at", moment.at(end->at_ns)}, {"well", end->well}, {"cause", end->how}};
}

// What every process of the family has.
void add_member(Json& json, const Member& member, const Moment& moment) {
  json["pid"] = member.pid == 0 ? Json() : Json(member.pid);
  json["ready"] = member.ready;
  json["heartbeat_age_s"] = moment.ago(member.heartbeat_ns);
  json["restarts"] = member.births > 0 ? member.births - 1 : 0;
  json["crashes"] = member.crashes;
  json["failed_starts"] = member.failures;
  json["next_start_s"] = moment.ahead(member.next_start_ns);
  json["last_end"] = end(member.last_end, moment);
}

Json housekeeper(const Snapshot& s, const Moment& moment) {
  Json json = Json::object();
  add_member(json, s.housekeeper.member, moment);
  json["last_database_heartbeat_at"] = moment.at(s.database.heartbeat_ns);
  json["last_database_heartbeat_age_s"] = moment.ago(s.database.heartbeat_ns);
  json["rescued_jobs"] = s.housekeeper.rescued;
  json["last_error"] = moment.of(s.database.last_error);
  return json;
}

Json progress(const std::optional<board::Progress>& progress, const Moment& moment) {
  if (!progress) return nullptr;
  return {{"done", progress->done},
          {"total", progress->total},
          {"at", moment.at(progress->at_ns)},
          {"age_s", moment.ago(progress->at_ns)}};
}

Json job(const SubWorker& worker, const Moment& moment) {
  if (!worker.job_known) return "unknown";
  if (!worker.job) return nullptr;
  const board::RunningJob& facts = worker.job->facts;
  return {{"id", facts.job_id},
          {"task", facts.task.view()},
          {"queue", facts.queue.view()},
          {"lock", text_or_null(facts.lock.view())},
          {"attempt", facts.attempt},
          {"started_at", moment.at(facts.started_ns)},
          {"elapsed_s", moment.ago(facts.started_ns)},
          {"time_limit_s", facts.time_limit_ns == 0 ? Json() : Json(seconds(facts.time_limit_ns))},
          {"progress", progress(worker.job->progress, moment)}};
}

Json task(const SubWorker& worker, const Moment& moment) {
  if (!worker.task_known) return "unknown";
  if (!worker.task) return nullptr;
  const board::TaskFacts& facts = *worker.task;
  const bool weighed = facts.weighed_ns != 0;
  return {{"pid", facts.pid},
          {"started_at", moment.at(facts.started_ns)},
          {"age_s", moment.ago(facts.started_ns)},
          {"jobs_served", facts.jobs_served},
          {"rss_bytes", weighed ? Json(facts.rss_bytes) : Json()},
          {"cpu_s", weighed ? Json(seconds(facts.cpu_ns)) : Json()}};
}

void add_endings(Json& json, const std::array<std::uint64_t, board::kEndings>& ended) {
  for (std::size_t i = 0; i < ended.size(); ++i) json[kEndingNames.at(i)] = ended.at(i);
}

Json sub_worker(const Snapshot& s, const SubWorker& worker, const Moment& moment) {
  Json json{{"slot", worker.slot},
            {"group", s.groups.at(worker.group).name},
            {"generation", worker.generation},
            {"state", worker.activity},
            {"since", moment.at(worker.since_ns)},
            {"in_state_s", moment.ago(worker.since_ns)}};
  add_member(json, worker.member, moment);
  json["worker_id"] = worker.lease == 0 ? Json() : Json(worker.lease);
  json["connected"] = worker.holds_connection;
  json["job"] = job(worker, moment);
  Json counts{{"fetched", worker.fetched}};
  add_endings(counts, worker.ended);
  counts["crashed"] = worker.crashed;
  json["jobs"] = counts;
  json["task_process"] = task(worker, moment);
  return json;
}

Json totals(const Totals& totals, bool are_tasks) {
  Json list = Json::array();
  for (const auto& [name, total] : totals) {
    Json json{{"name", name}};
    if (are_tasks) json["registered"] = total.registered;
    add_endings(json, total.ended);
    json["run_time_s"] = seconds(total.run_ns);
    list.push_back(std::move(json));
  }
  return list;
}

Json waiting(const Snapshot& s, const Moment& moment) {
  if (!s.waiting || s.waiting->measured_ns == 0) return nullptr;
  const board::QueueFacts& facts = *s.waiting;
  Json queues = Json::array();
  for (std::int64_t i = 0; i < facts.count; ++i) {
    const board::QueueFact& fact = facts.queues[i];
    queues.push_back({{"name", fact.name.view()},
                      {"ready", fact.ready},
                      {"scheduled", fact.scheduled},
                      {"oldest_s", fact.ready > 0 ? Json(seconds(fact.oldest_ns)) : Json()}});
  }
  return {
      {"measured_at", moment.at(facts.measured_ns)},
      {"age_s", moment.ago(facts.measured_ns)},
      {"query_s", seconds(facts.took_ns)},
      {"queues", queues},
      {"others",
       {{"queues", facts.other_queues}, {"ready", facts.other_ready}, {"scheduled", facts.other_scheduled}}}};
}

Json failures(const Snapshot& s, const Moment& moment) {
  Json list = Json::array();
  for (const Failure& failure : s.failures) {
    const board::FailedJob& facts = failure.facts;
    list.push_back({{"at", moment.at(facts.at_ns)},
                    {"age_s", moment.ago(facts.at_ns)},
                    {"job_id", facts.job_id},
                    {"task", text_or_null(facts.task.view())},
                    {"queue", text_or_null(facts.queue.view())},
                    {"attempt", facts.attempt == 0 ? Json() : Json(facts.attempt)},
                    {"ending", ending_name(facts.ending)},
                    {"cause", facts.cause.view()},
                    {"message", text_or_null(facts.message.view())},
                    {"slot", failure.slot ? Json(*failure.slot) : Json()}});
  }
  return list;
}

Json groups(const Snapshot& s) {
  Json list = Json::array();
  for (const Group& group : s.groups) list.push_back({{"name", group.name}, {"queues", group.queues}});
  return list;
}

std::string event(const char* name, const Json& data) {
  return fmt::format("event: {}\ndata: {}\n\n", name, dump(data));
}

}  // namespace

std::string iso_time(std::int64_t unix_ns) {
  const std::time_t whole = unix_ns / 1'000'000'000;
  std::tm utc{};
  ::gmtime_r(&whole, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, unix_ns % 1'000'000'000 / 1000);
}

std::string to_json(const Snapshot& s, const Judgement& judgement) {
  const Moment moment(s);
  Json workers = Json::array();
  for (const SubWorker& worker : s.sub_workers) workers.push_back(sub_worker(s, worker, moment));
  return dump({{"schema_version", kSchemaVersion},
               {"at", iso_time(s.now_unix_ns)},
               {"supervisor", supervisor(s, judgement, moment)},
               {"database", database(s, moment)},
               {"housekeeper", housekeeper(s, moment)},
               {"groups", groups(s)},
               {"sub_workers", std::move(workers)},
               {"tasks", totals(s.tasks, true)},
               {"queues", totals(s.queues, false)},
               {"waiting", waiting(s, moment)},
               {"recent_failures", failures(s, moment)}}) +
         "\n";
}

std::string job_event(const board::News& news, std::uint32_t slot, const std::string& group,
                      std::int64_t now_ns, std::int64_t now_unix_ns) {
  Json data{{"at", iso_time(now_unix_ns - (now_ns - news.at_ns))},
            {"job_id", news.job_id},
            {"task", news.task.view()},
            {"queue", news.queue.view()},
            {"attempt", news.attempt},
            {"group", group},
            {"slot", slot}};
  if (news.ended == 0) return event("job_started", data);
  data["ending"] = ending_name(news.ending);
  data["cause"] = news.cause.view();
  data["run_time_s"] = seconds(news.run_ns);
  return event("job_finished", data);
}

std::string member_event(const std::string& name, std::int64_t pid, const std::string& how,
                         std::int64_t now_unix_ns) {
  Json data{{"at", iso_time(now_unix_ns)}, {"name", name}, {"pid", pid}};
  if (how.empty()) return event("process_born", data);
  data["cause"] = how;
  return event("process_died", data);
}

std::string state_event(const Judgement& judgement, std::int64_t now_unix_ns) {
  return event("state_changed", {{"at", iso_time(now_unix_ns)},
                                 {"state", kStateNames.at(static_cast<std::size_t>(judgement.state))},
                                 {"reasons", judgement.reasons},
                                 {"ready", judgement.not_ready.empty()}});
}

}  // namespace postpone::supervisor::status

// What a supervisor answers to GET /status, as far as `postpone status` and `postpone top` read it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace postpone::tests {

// A sub-worker; with a job when its state is "running".
inline nlohmann::json worker(int slot, const std::string& state, double elapsed_s = 0) {
  nlohmann::json job;
  if (state == "running")
    job = {{"id", 1000 + slot},     {"task", "a.rather.long.name.of.a.task"},
           {"queue", "kitchen"},    {"lock", "lock " + std::to_string(slot)},
           {"attempt", 1},          {"elapsed_s", elapsed_s},
           {"time_limit_s", 300.0}, {"progress", {{"done", slot}, {"total", 100}}}};
  return {
      {"slot", slot},
      {"group", "kitchen"},
      {"state", state},
      {"in_state_s", 3.5},
      {"pid", 100 + slot},
      {"next_start_s", nullptr},
      {"last_end", nullptr},
      {"job", job},
      {"jobs",
       {{"fetched", 9}, {"succeeded", slot}, {"failed", 2}, {"retried", 0}, {"aborted", 0}, {"crashed", 0}}},
      {"task_process", {{"pid", 500 + slot}, {"rss_bytes", 1'000'000 * (100 - slot)}, {"cpu_s", 1.0}}}};
}

// A supervisor with so many of them at work, and more queues and failures than a terminal has lines.
inline nlohmann::json answer(int workers) {
  nlohmann::json all{
      {"supervisor",
       {{"name", "web1:4711:1"},
        {"pid", 4711},
        {"version", "1.2.3"},
        {"uptime_s", 7200.0},
        {"state", "running"},
        {"ready", true},
        {"reasons", nlohmann::json::array()},
        {"config_file", "/etc/postpone/kitchen.toml"},
        {"last_reload", nullptr}}},
      {"database",
       {{"state", "up"},
        {"server_version", "15.6"},
        {"reconnects", 0},
        {"listen", {{"state", "listening"}, {"notifications", 12}}},
        {"pool", {{"held", 8}, {"size", 8}, {"waiting", 0}, {"longest_wait_s", 0.0}}}}},
      {"housekeeper", {{"pid", 4712}, {"last_database_heartbeat_age_s", 2.0}, {"rescued_jobs", 0}}},
      {"waiting",
       {{"age_s", 1.5},
        {"queues", nlohmann::json::array()},
        {"others", {{"queues", 0}, {"ready", 0}, {"scheduled", 0}}}}},
      {"sub_workers", nlohmann::json::array()},
      {"recent_failures", nlohmann::json::array()}};
  for (int slot = 0; slot < workers; ++slot) all["sub_workers"].push_back(worker(slot, "running", slot));
  for (int i = 0; i < 30; ++i) {
    all["waiting"]["queues"].push_back(
        {{"name", "queue " + std::to_string(i)}, {"ready", 1'234'567}, {"scheduled", 0}, {"oldest_s", 90.0}});
    all["recent_failures"].push_back(
        {{"age_s", 5.0},
         {"job_id", i},
         {"task", "t"},
         {"ending", "failed"},
         {"cause", "signalled"},
         {"message", "the task process ended without a result: signal 11 (Segmentation fault)"}});
  }
  return all;
}

}  // namespace postpone::tests

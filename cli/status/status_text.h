// Values of a supervisor's status page (docs/status.md) in words, as `postpone status` and `postpone top`
// show them. Pure. For .cc files of this room only, since it brings nlohmann-json along.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/text/colour.h"

namespace postpone::cli {

// Colours text, or leaves it as it is.
struct Palette {
  bool coloured = false;
  std::string operator()(const std::string& text, Style style) const {
    return coloured ? styled(text, style) : text;
  }
};

// A value as text; empty for null, and for a value of another type.
std::string text_of(const nlohmann::json& value);
std::string duration_of(const nlohmann::json& seconds);
std::string size_of(const nlohmann::json& bytes);
// The number, 0 for a value that is none.
double number(const nlohmann::json& value);
// The value of a key; null when there is none, or no object.
nlohmann::json at(const nlohmann::json& object, const char* key);

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t number);
// The line within `width` columns (0 = no limit).
std::string clipped(const std::string& line, std::size_t width);

// --- one sub-worker ---

// The job that it runs, and its task process; null when there is none, or when it could not be read.
const nlohmann::json& job_of(const nlohmann::json& worker);
const nlohmann::json& task_process_of(const nlohmann::json& worker);
// "kitchen/3"
std::string name_of(const nlohmann::json& worker);
// "40%", or the number that the task has reported without a total; empty without a report.
std::string job_progress_of(const nlohmann::json& worker);
// How many jobs it has ended, in any way.
std::uint64_t ended_jobs(const nlohmann::json& worker);

// --- the whole family ---

// "degraded, NOT READY"; `when_ready` follows the state of a supervisor that is ready.
std::string supervisor_state(const nlohmann::json& supervisor, const char* when_ready, Palette paint);
std::string database_state(const nlohmann::json& status, Palette paint);
// "3 running, 5 idle"
std::string sub_worker_states(const nlohmann::json& workers);
// "1,234 succeeded, 5 failed, …": the jobs that all sub-workers have ended.
std::string job_endings(const nlohmann::json& status, Palette paint);

}  // namespace postpone::cli

#include "cli/status/status_text.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>

#include "cli/text/text.h"

namespace postpone::cli {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 4> kEndings{"succeeded", "failed", "retried", "aborted"};

Style style_of_supervisor(std::string_view state) {
  if (state == "running") return Style::good;
  return state == "degraded" ? Style::bad : Style::waiting;
}

}  // namespace

std::string text_of(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return printable(value.get<std::string>());
  return value.dump();
}

std::string duration_of(const Json& value) {
  return value.is_number() ? human_duration(std::chrono::duration<double>(value.get<double>())) : "";
}

std::string size_of(const Json& value) {
  return value.is_number() ? human_size(value.get<std::int64_t>()) : "";
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string clipped(const std::string& line, std::size_t width) {
  return width == 0 ? line : cut(line, width);
}

const Json& job_of(const Json& worker) {
  static const Json none;
  return worker.at("job").is_object() ? worker.at("job") : none;
}

const Json& task_process_of(const Json& worker) {
  static const Json none;
  return worker.at("task_process").is_object() ? worker.at("task_process") : none;
}

Json at(const Json& object, const char* key) {
  return object.is_object() ? object.value(key, Json()) : Json();
}

double number(const Json& value) {
  return value.is_number() ? value.get<double>() : 0;
}

std::string name_of(const Json& worker) {
  return text_of(worker.at("group")) + "/" + worker.at("slot").dump();
}

std::string job_progress_of(const Json& worker) {
  const Json progress = at(job_of(worker), "progress");
  if (!progress.is_object()) return "";
  const double done = number(progress.at("done"));
  const double total = number(progress.at("total"));
  if (total <= 0) return text_of(progress.at("done"));
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.0f%%", std::min(100.0, 100 * done / total));
  return text.data();
}

std::uint64_t ended_jobs(const Json& worker) {
  std::uint64_t sum = 0;
  for (const char* ending : kEndings) sum += worker.at("jobs").at(ending).get<std::uint64_t>();
  return sum;
}

std::string sub_worker_states(const Json& workers) {
  std::map<std::string, int> counts;
  for (const Json& worker : workers) ++counts[text_of(worker.at("state"))];
  std::string text;
  for (const char* state :
       {"running", "looking", "idle", "waiting_for_permit", "starting", "vacant", "stopping", "absent"}) {
    const auto found = counts.find(state);
    if (found == counts.end()) continue;
    std::string name = state;
    if (name == "waiting_for_permit") name = "waiting for a connection";
    text += (text.empty() ? "" : ", ") + std::to_string(found->second) + " " + name;
  }
  return text;
}

std::string supervisor_state(const Json& supervisor, const char* when_ready, Palette paint) {
  const std::string state = text_of(supervisor.at("state"));
  return paint(state, style_of_supervisor(state)) +
         (supervisor.at("ready") == true ? when_ready : ", " + paint("NOT READY", Style::bad));
}

std::string database_state(const Json& status, Palette paint) {
  const std::string state = text_of(status.at("database").at("state"));
  return paint(state, state == "up" ? Style::plain : Style::bad);
}

std::string job_endings(const Json& status, Palette paint) {
  std::string text;
  for (const char* ending : kEndings) {
    std::uint64_t sum = 0;
    for (const Json& worker : status.at("sub_workers"))
      sum += worker.at("jobs").at(ending).get<std::uint64_t>();
    const bool is_bad = sum > 0 && style_of_status(ending) == Style::bad;
    text +=
        (text.empty() ? "" : ", ") + paint(grouped(sum) + " " + ending, is_bad ? Style::bad : Style::plain);
  }
  return text;
}

}  // namespace postpone::cli

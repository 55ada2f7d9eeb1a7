#include "sql/job.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "sql/json_text.h"

namespace postpone::sql {
namespace {

using nlohmann::json;

// Labels in the order of their enum.
constexpr std::array<std::string_view, 7> kStatuses = {"todo",      "doing",    "succeeded", "failed",
                                                       "cancelled", "aborting", "aborted"};
constexpr std::array<std::string_view, 15> kCauses = {
    "succeeded",    "exception",    "bad_arguments", "unknown_task", "exited",
    "signalled",    "memory_limit", "timed_out",     "aborted",      "protocol_error",
    "output_flood", "worker_lost",  "poison",        "superseded",   "finished_by_hand"};
constexpr std::array<std::string_view, 3> kChoices = {"refuse", "keep", "replace"};
constexpr std::array<std::string_view, 5> kActions = {"succeed", "fail", "abort", "retry", "release"};

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

template <class Enum, std::size_t N>
std::optional<Enum> find_label(const std::array<std::string_view, N>& labels, std::string_view label) {
  const auto* const found = std::find(labels.begin(), labels.end(), label);
  if (found == labels.end()) return std::nullopt;
  return static_cast<Enum>(found - labels.begin());
}

// A wait that fits into an interval whatever came out of an exponential.
double wait_of(Seconds wait) {
  constexpr double kHundredYears = 3'155'760'000;
  if (!(wait.count() > 0)) return 0;  // NaN too
  return std::min(wait.count(), kHundredYears);
}

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// As it is stored: a byte that is no UTF-8 becomes a character of three.
bool is_too_long_a_name(std::string_view name) {
  return characters_in(storable(name)) > kMaxNameCharacters;
}

bool is_too_long_a_lock(const std::optional<std::string>& lock) {
  return lock && storable(*lock).size() > kMaxLockBytes;
}

// Empty is not absent: all jobs of the lock "" would wait for each other.
bool is_empty(const std::optional<std::string>& lock) {
  return lock && lock->empty();
}

// What keeps a text, called so, from being stored as a JSON object; empty when nothing.
std::string fault_of_object(const std::string& text, const std::string& name) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || text[begin] != '{') return name + " not a JSON object";
  if (const auto byte = mistake_in_json(text))
    return name + " not a JSON object: mistake at byte " + std::to_string(*byte);
  const std::string excess = excess_in_json(text);
  return excess.empty() ? "" : name + " not to be stored: " + excess;
}

// What follows "the meta".
std::string fault_of_meta(const std::string& meta) {
  const std::string text = storable(meta);
  if (std::string fault = fault_of_object(text, " is"); !fault.empty()) return fault;
  const std::size_t bytes = bytes_of_stored(text);
  if (bytes <= kMaxMetaBytes) return "";
  return " has " + std::to_string(bytes) + " bytes: it may have " + std::to_string(kMaxMetaBytes) +
         " at most";
}

std::string fault_behind_name(const DeferRequest& request) {
  if (is_too_long_a_name(request.task)) return "its name is longer than 128 characters";
  if (request.queue.empty()) return "the queue name is empty";
  if (is_empty(request.lock)) return "the lock is empty; leave it out for none";
  if (is_empty(request.queueing_lock)) return "the queueing lock is empty; leave it out for none";
  if (is_too_long_a_name(request.queue)) return "the queue name is longer than 128 characters";
  if (is_too_long_a_lock(request.lock)) return "the lock is longer than 2000 bytes";
  if (is_too_long_a_lock(request.queueing_lock)) return "the queueing lock is longer than 2000 bytes";
  if (std::string fault = fault_of_object(storable(request.args), "the arguments are"); !fault.empty())
    return fault;
  const std::string fault = request.meta ? fault_of_meta(*request.meta) : "";
  return fault.empty() ? "" : "the meta" + fault;
}

Seconds delay_of(const DeferRequest& request) {
  if (request.scheduled_in) return *request.scheduled_in;
  if (request.scheduled_at) return *request.scheduled_at - std::chrono::system_clock::now();
  return Seconds(0);
}

// The args go in as they are: a parser of ours would round their numbers.
std::string to_json(const DeferRequest& request) {
  json object = {{"task", storable(request.task)},
                 {"queue", storable(request.queue)},
                 {"priority", request.priority},
                 {"delay", wait_of(delay_of(request))}};
  if (request.lock) object["lock"] = storable(*request.lock);
  if (request.queueing_lock) object["queueing_lock"] = storable(*request.queueing_lock);
  std::string text = object.dump();
  text.pop_back();
  text += ",\"args\":" + without_escaped_nul(storable(request.args));
  if (request.meta) text += ",\"meta\":" + without_escaped_nul(storable(*request.meta));
  return text + "}";
}

json to_object(const Progress& progress) {
  json object = {{"done", cut_to_signed(progress.done)}, {"total", cut_to_signed(progress.total)}};
  if (!progress.note.empty()) object["note"] = storable(progress.note);
  return object;
}

// The result goes in as it is, as args do.
void append_result(std::string& text, const std::string& result) {
  text.pop_back();
  text += ",\"result\":" + without_escaped_nul(storable(result)) + "}";
}

void append_defers(std::string& text, const Outcome& outcome) {
  text.pop_back();
  if (outcome.inherited_meta)
    text += ",\"inherited_meta\":" + without_escaped_nul(storable(*outcome.inherited_meta));
  text += ",\"defers\":[";
  for (const DeferRequest& request : outcome.defers) {
    if (text.back() != '[') text += ',';
    text += to_json(request);
  }
  text += "]}";
}

std::string fault_of_retry(const Outcome& outcome) {
  if (outcome.new_queue && is_too_long_a_name(*outcome.new_queue))
    return "the queue name for a retry is longer than 128 characters";
  if (outcome.new_queue && outcome.new_queue->empty()) return "the queue name for a retry is empty";
  if (is_empty(outcome.new_lock)) return "the lock for a retry is empty";
  if (is_too_long_a_lock(outcome.new_lock)) return "the lock for a retry is longer than 2000 bytes";
  return "";
}

// What to_json() of it has at most: a byte may be escaped, or be no UTF-8.
std::size_t most_bytes_of(const DeferRequest& request) {
  constexpr std::size_t kKeysAndNumbers = 160;
  const auto size_of = [](const std::optional<std::string>& text) { return text ? text->size() : 0; };
  return kKeysAndNumbers +
         6 * (request.task.size() + request.queue.size() + size_of(request.lock) +
              size_of(request.queueing_lock)) +
         3 * (request.args.size() + size_of(request.meta));
}

// A task process that speaks the protocol by itself may send anything that a frame holds. An array of jsonb has 256 MiB at
// most, and each of these is checked, sent and inserted while the sub-worker can do nothing else.
std::string fault_of_defers(const Outcome& outcome) {
  if (outcome.defers.empty()) return "";
  const std::string advice = ": let it defer fewer jobs that defer the rest";
  if (outcome.defers.size() > kMostDefers)
    return "it deferred " + std::to_string(outcome.defers.size()) + " jobs, more than the " +
           std::to_string(kMostDefers) + " that one job may defer" + advice;
  if (outcome.inherited_meta)
    if (std::string fault = fault_of_meta(*outcome.inherited_meta); !fault.empty())
      return "the meta that its followers inherit" + fault;
  std::size_t most = 0;
  for (const DeferRequest& request : outcome.defers) {
    if (std::string fault = fault_of(request); !fault.empty()) return fault;
    most += most_bytes_of(request);
  }
  if (most <= kMaxDefersBytes) return "";
  std::size_t bytes = 0;
  for (const DeferRequest& request : outcome.defers) {
    bytes += to_json(request).size();
    if (bytes > kMaxDefersBytes) return "the jobs that it deferred take more than 32 MiB" + advice;
  }
  return "";
}

void add_retry(json& object, const Outcome& outcome) {
  object["retry_in"] = wait_of(outcome.retry_in);
  if (!outcome.counts) object["uncounted"] = true;
  if (outcome.new_priority) object["new_priority"] = *outcome.new_priority;
  if (outcome.new_queue) object["new_queue"] = storable(*outcome.new_queue);
  if (outcome.new_lock) object["new_lock"] = storable(*outcome.new_lock);
}

void add_attempt(json& object, const Outcome& outcome) {
  object["cause"] = to_string(outcome.cause);
  if (!outcome.exception_type.empty()) object["exception_type"] = storable(outcome.exception_type);
  if (!outcome.message.empty()) object["message"] = storable(outcome.message);
  if (outcome.signal) object["signal"] = *outcome.signal;
  if (outcome.exit_status) object["exit_status"] = *outcome.exit_status;
  if (!outcome.stderr_tail.empty()) object["stderr_tail"] = storable(outcome.stderr_tail);
  object["run_time"] = outcome.run_time.count();
  object["cpu_time"] = outcome.cpu_time.count();
  object["max_rss"] = outcome.max_rss_bytes;
}

}  // namespace

std::string_view to_string(OnConflict choice) {
  return kChoices.at(static_cast<std::size_t>(choice));
}

std::optional<OnConflict> parse_on_conflict(std::string_view label) {
  return find_label<OnConflict>(kChoices, label);
}

std::string_view to_string(JobStatus status) {
  return kStatuses.at(static_cast<std::size_t>(status));
}
std::optional<JobStatus> parse_job_status(std::string_view label) {
  return find_label<JobStatus>(kStatuses, label);
}

std::string_view to_string(Cause cause) {
  return kCauses.at(static_cast<std::size_t>(cause));
}
std::optional<Cause> parse_cause(std::string_view label) {
  return find_label<Cause>(kCauses, label);
}

std::string_view to_string(Action action) {
  return kActions.at(static_cast<std::size_t>(action));
}

int next_attempt(int attempts) {
  return attempts < std::numeric_limits<int>::max() ? attempts + 1 : attempts;
}

std::string fault_of(const DeferRequest& request) {
  if (request.task.empty()) return "a job without a task name";
  const std::string fault = fault_behind_name(request);
  return fault.empty() ? "" : "job of task \"" + storable(request.task.substr(0, 200)) + "\": " + fault;
}

std::string fault_of_result(const std::string& result) {
  if (result.size() > kMaxResultBytes)
    return "its result has " + std::to_string(result.size()) +
           " bytes, more than the 1 MiB that a result may have: store it elsewhere, and give back where";
  const std::string text = storable(result);
  if (const auto byte = mistake_in_json(text))
    return "its result is no JSON: mistake at byte " + std::to_string(*byte);
  const std::string excess = excess_in_json(text);
  return excess.empty() ? "" : "its result cannot be stored: " + excess;
}

std::string fault_of_wishes(const Outcome& outcome) {
  if (outcome.action == Action::retry) return fault_of_retry(outcome);
  if (outcome.action != Action::succeed) return "";
  if (std::string fault = fault_of_defers(outcome); !fault.empty()) return fault;
  return outcome.result ? fault_of_result(*outcome.result) : "";
}

std::string traceparent_in(const std::optional<std::string>& meta) {
  constexpr std::size_t kMost = 128;  // 55 by the present version of that standard; later ones may be longer
  constexpr std::string_view kKey = "traceparent";
  if (!meta || meta->find(kKey) == std::string::npos) return "";
  const json object = json::parse(*meta, nullptr, false);
  const auto found = object.is_object() ? object.find(kKey) : object.end();
  if (found == object.end() || !found->is_string()) return "";
  const auto& text = found->get_ref<const std::string&>();
  return text.size() <= kMost ? text : "";
}

std::optional<Success> as_success(const Outcome& outcome) {
  const bool is_success = outcome.action == Action::succeed && outcome.cause == Cause::succeeded &&
                          outcome.defers.empty() && !outcome.result && !outcome.progress &&
                          outcome.exception_type.empty() && outcome.message.empty() &&
                          outcome.stderr_tail.empty() && !outcome.signal && !outcome.exit_status &&
                          std::isfinite(outcome.run_time.count()) && std::isfinite(outcome.cpu_time.count());
  if (!is_success) return std::nullopt;
  return Success{.job_id = outcome.job_id,
                 .attempt = outcome.attempt,
                 .run_time = outcome.run_time,
                 .cpu_time = outcome.cpu_time,
                 .max_rss_bytes = outcome.max_rss_bytes,
                 .delete_job = outcome.delete_job,
                 .omit_events = outcome.omit_events,
                 .omit_attempt = outcome.omit_attempt};
}

template <class Number>
void append(std::string& text, std::string_view key, Number value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  text.append(key).append(digits.data(), end);
}

// With nine digits behind the point, for times that were measured in nanoseconds: three times as quick as to find
// the shortest text of a floating-point number.
void append_seconds(std::string& text, std::string_view key, Seconds time) {
  constexpr double kMost = 1e9;
  constexpr std::int64_t kNsOfSecond = 1'000'000'000;
  if (!(time.count() >= 0 && time.count() < kMost)) return append(text, key, time.count());
  const std::int64_t ns = std::llround(time.count() * 1e9);
  append(text, key, ns / kNsOfSecond);
  std::array<char, 10> digits;
  std::to_chars(digits.data(), digits.data() + digits.size(), kNsOfSecond + ns % kNsOfSecond);
  digits.front() = '.';
  text.append(digits.data(), digits.size());
}

// Without a tree of JSON values, which would cost more than such a job.
std::string to_json(const Success& outcome) {
  std::string text;
  text.reserve(224);
  append(text, R"({"action":"succeed","attempt":)", outcome.attempt);
  append_seconds(text, R"(,"cause":"succeeded","cpu_time":)", outcome.cpu_time);
  if (outcome.delete_job) text += R"(,"delete_job":true)";
  if (outcome.omit_events) text += R"(,"omit_events":true)";
  if (outcome.omit_attempt) text += R"(,"omit_attempt":true)";
  append(text, R"(,"job_id":)", outcome.job_id);
  append(text, R"(,"max_rss":)", outcome.max_rss_bytes);
  append_seconds(text, R"(,"run_time":)", outcome.run_time);
  return text += '}';
}

std::string to_json(const Outcome& outcome) {
  if (const auto success = as_success(outcome)) return to_json(*success);
  if (const std::string fault = fault_of_wishes(outcome); !fault.empty()) throw std::invalid_argument(fault);
  json object = {
      {"job_id", outcome.job_id}, {"attempt", outcome.attempt}, {"action", to_string(outcome.action)}};
  if (outcome.delete_job) object["delete_job"] = true;
  if (outcome.omit_events) object["omit_events"] = true;
  if (outcome.omit_attempt) object["omit_attempt"] = true;
  if (outcome.action == Action::retry) add_retry(object, outcome);
  if (outcome.action != Action::release) add_attempt(object, outcome);
  if (outcome.action != Action::release && outcome.progress)
    object["progress"] = to_object(*outcome.progress);
  std::string text = object.dump();
  if (outcome.action != Action::succeed) return text;
  if (outcome.result) append_result(text, *outcome.result);
  if (!outcome.defers.empty()) append_defers(text, outcome);
  return text;
}

std::string storable(std::string_view text) {
  // Nearly every text is plain ASCII.
  if (std::ranges::all_of(text, [](unsigned char c) { return c > 0 && c < 0x80; })) return std::string(text);
  std::string with_nul_replaced;
  for (const char c : text) {
    if (c == '\0') {
      with_nul_replaced += kReplacement;
    } else {
      with_nul_replaced += c;
    }
  }
  const std::string quoted = json(with_nul_replaced).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(quoted).get<std::string>();
}

}  // namespace postpone::sql

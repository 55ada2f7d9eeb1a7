#include "sql/job.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

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

bool is_too_long_a_name(std::string_view name) {
  return characters_in(name) > kMaxNameCharacters;
}

bool is_too_long_a_lock(const std::optional<std::string>& lock) {
  return lock && lock->size() > kMaxLockBytes;
}

// Empty is not absent: all jobs of the lock "" would wait for each other.
bool is_empty(const std::optional<std::string>& lock) {
  return lock && lock->empty();
}

// JSON text with U+FFFD for each escaped NUL. A backslash and what follows it are one: \\u0000 is no NUL.
std::string without_escaped_nul(const std::string& text) {
  constexpr std::string_view kNul = "\\u0000";
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      result += text[i++];
    } else if (text.compare(i, kNul.size(), kNul) == 0) {
      result += "\\ufffd";
      i += kNul.size();
    } else {
      result += text.substr(i, 2);
      i += 2;
    }
  }
  return result;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// JSON text without the magnitude of its numbers, of which those beyond a double are correct JSON, and
// PostgreSQL stores them: exponents become zeros, and digits behind the 200th of a row are left out.
std::string without_magnitudes(std::string text) {
  constexpr std::size_t kMostDigits = 200;
  bool in_string = false;
  std::size_t digits = 0;
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      result += c;
      result += text[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    const bool is_exponent = !in_string && (c == 'e' || c == 'E') && digits > 0;
    digits = !in_string && is_digit(c) ? digits + 1 : 0;
    if (digits <= kMostDigits) result += c;
    if (!is_exponent) continue;
    if (i + 1 < text.size() && (text[i + 1] == '+' || text[i + 1] == '-')) result += text[++i];
    while (i + 1 < text.size() && is_digit(text[i + 1])) {
      result += '0';
      ++i;
    }
  }
  return result;
}

// The byte at which a text stops being JSON; nothing when it is a JSON value.
std::optional<std::size_t> mistake_in_json(const std::string& text) {
  const auto keep_nothing = [](int, json::parse_event_t, const json&) { return false; };
  try {
    const json nothing = json::parse(without_magnitudes(text), keep_nothing);
  } catch (const json::parse_error& error) {
    return error.byte;
  }
  return std::nullopt;
}

// What keeps a text, called so, from being a JSON object; empty when it is one.
std::string fault_of_object(const std::string& text, const std::string& name) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || text[begin] != '{') return name + " not a JSON object";
  if (const auto byte = mistake_in_json(text))
    return name + " not a JSON object: mistake at byte " + std::to_string(*byte);
  return "";
}

// A JSON object as long as the database has it: a space behind each comma and colon, and no others.
std::size_t bytes_of_stored(const std::string& text) {
  std::size_t bytes = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      bytes += 2;
      ++i;
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (in_string || (c != ' ' && c != '\t' && c != '\r' && c != '\n')) ++bytes;
    if (!in_string && (c == ',' || c == ':')) ++bytes;
  }
  return bytes;
}

Seconds delay_of(const DeferRequest& request) {
  if (request.scheduled_in) return *request.scheduled_in;
  if (request.scheduled_at) return *request.scheduled_at - std::chrono::system_clock::now();
  return Seconds(0);
}

// The args go in as they are: a parser of ours would round their numbers.
std::string to_json(const DeferRequest& request) {
  const std::string fault = fault_of(request);
  if (!fault.empty()) throw std::invalid_argument(fault);
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

// What the database counts with.
std::int64_t cut_to_signed(std::uint64_t count) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(count, std::numeric_limits<std::int64_t>::max()));
}

json to_object(const Progress& progress) {
  json object = {{"done", cut_to_signed(progress.done)}, {"total", cut_to_signed(progress.total)}};
  if (!progress.note.empty()) object["note"] = storable(progress.note);
  return object;
}

// The result goes in as it is, as args do.
void append_result(std::string& text, const std::string& result) {
  if (const std::string fault = fault_of_result(result); !fault.empty()) throw std::invalid_argument(fault);
  text.pop_back();
  text += ",\"result\":" + without_escaped_nul(storable(result)) + "}";
}

void append_defers(std::string& text, const std::vector<DeferRequest>& defers) {
  text.pop_back();
  text += ",\"defers\":[";
  for (const DeferRequest& request : defers) {
    if (text.back() != '[') text += ',';
    text += to_json(request);
  }
  text += "]}";
}

void add_retry(json& object, const Outcome& outcome) {
  if (outcome.new_queue && is_too_long_a_name(*outcome.new_queue)) {
    throw std::invalid_argument("the queue name for a retry is longer than 128 characters");
  }
  if ((outcome.new_queue && outcome.new_queue->empty()) || is_empty(outcome.new_lock)) {
    throw std::invalid_argument("the queue name or the lock for a retry is empty");
  }
  if (is_too_long_a_lock(outcome.new_lock)) {
    throw std::invalid_argument("the lock for a retry is longer than 2000 bytes");
  }
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
  const std::string job = "job of task \"" + storable(request.task.substr(0, 200)) + "\": ";
  if (is_too_long_a_name(request.task)) return job + "its name is longer than 128 characters";
  if (request.queue.empty()) return job + "the queue name is empty";
  if (is_empty(request.lock)) return job + "the lock is empty; leave it out for none";
  if (is_empty(request.queueing_lock)) return job + "the queueing lock is empty; leave it out for none";
  if (is_too_long_a_name(request.queue)) return job + "the queue name is longer than 128 characters";
  if (is_too_long_a_lock(request.lock)) return job + "the lock is longer than 2000 bytes";
  if (is_too_long_a_lock(request.queueing_lock)) return job + "the queueing lock is longer than 2000 bytes";
  if (const std::string fault = fault_of_object(storable(request.args), "the arguments are"); !fault.empty())
    return job + fault;
  if (!request.meta) return "";
  if (const std::string fault = fault_of_object(storable(*request.meta), "the meta is"); !fault.empty())
    return job + fault;
  const std::size_t bytes = bytes_of_stored(*request.meta);
  if (bytes <= kMaxMetaBytes) return "";
  return job + "the meta has " + std::to_string(bytes) + " bytes: it may have " +
         std::to_string(kMaxMetaBytes) + " at most";
}

std::string fault_of_result(const std::string& result) {
  if (result.size() > kMaxResultBytes)
    return "its result has " + std::to_string(result.size()) +
           " bytes, more than the 1 MiB that a result may have: store it elsewhere, and give back where";
  if (const auto byte = mistake_in_json(storable(result)))
    return "its result is no JSON: mistake at byte " + std::to_string(*byte);
  return "";
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
  if (!outcome.defers.empty()) append_defers(text, outcome.defers);
  return text;
}

std::string storable(std::string_view text) {
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

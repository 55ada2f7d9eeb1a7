#include "libtask/wire/description.h"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace libtask::wire {
namespace {

using nlohmann::json;

// One object of the description, with the path that leads to it, so that an error can name the key.
// Unknown keys are skipped: a newer libtask may say more than this reader knows, within one protocol version.
class Object {
 public:
  Object(const json& value, std::string path) : value_(value), path_(std::move(path)) {
    if (!value_.is_object()) fail(path_.empty() ? "the description" : path_, "an object", value_);
  }

  std::string text(const char* key) const { return as_text(key, required(key)); }
  std::optional<std::string> optional_text(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return as_text(key, *value);
  }
  int integer(const char* key) const {
    return static_cast<int>(as_integer<std::int32_t>(key, required(key)));
  }
  std::optional<int> optional_integer(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return static_cast<int>(as_integer<std::int32_t>(key, *value));
  }
  // 0 where there is none.
  std::int64_t size(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return 0;
    const auto bytes = as_integer<std::int64_t>(key, *value);
    if (bytes < 0) fail(at(key), "a number of bytes, not negative", *value);
    return bytes;
  }
  // 0 where there is none.
  int count(const char* key) const {
    const int count = optional_integer(key).value_or(0);
    if (count < 0) fail(at(key), "a number, not negative", *find(key));
    return count;
  }
  std::chrono::milliseconds milliseconds(const char* key) const {
    const auto count = as_integer<std::int64_t>(key, required(key));
    if (count < 0) fail(at(key), "a number of milliseconds, not negative", required(key));
    return std::chrono::milliseconds(count);
  }
  std::chrono::duration<double> seconds(const char* key) const { return as_seconds(key, required(key)); }
  std::optional<std::chrono::duration<double>> optional_seconds(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return as_seconds(key, *value);
  }
  // 0 where there is none.
  double part(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return 0;
    if (!value->is_number() || value->get<double>() < 0 || value->get<double>() > 1)
      fail(at(key), "a number from 0 to 1", *value);
    return value->get<double>();
  }
  // False where there is none.
  bool flag(const char* key) const { return find(key) != nullptr && boolean(key); }
  // None where there is no list.
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> result;
    const json* value = find(key);
    if (value == nullptr) return result;
    if (!value->is_array()) fail(at(key), "an array", *value);
    for (const json& element : *value) result.push_back(as_text(key, element));
    return result;
  }
  std::optional<Missed> optional_missed(const char* key) const {
    const auto name = optional_text(key);
    if (!name) return std::nullopt;
    const auto missed = parse_missed(*name);
    if (!missed) fail(at(key), "skip, last or all", *find(key));
    return missed;
  }
  bool boolean(const char* key) const {
    const json& value = required(key);
    if (!value.is_boolean()) fail(at(key), "true or false", value);
    return value.get<bool>();
  }
  // The text of a nested object.
  std::string object_text(const char* key) const {
    const json& value = required(key);
    if (!value.is_object()) fail(at(key), "an object", value);
    return value.dump();
  }
  std::optional<Object> optional_object(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return Object(*value, at(key));
  }
  std::vector<Object> objects(const char* key) const {
    const json& value = required(key);
    if (!value.is_array()) fail(at(key), "an array", value);
    std::vector<Object> result;
    for (const json& element : value) {
      result.emplace_back(element, at(key) + "[" + std::to_string(result.size()) + "]");
    }
    return result;
  }

 private:
  [[noreturn]] static void fail(const std::string& where, const std::string& expected, const json& found) {
    throw std::runtime_error(where + " must be " + expected + ", and is " +
                             found.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60));
  }
  std::string at(const char* key) const { return path_.empty() ? key : path_ + "." + key; }
  const json* find(const char* key) const {
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }
  const json& required(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) throw std::runtime_error(at(key) + " is missing");
    return *value;
  }
  std::chrono::duration<double> as_seconds(const char* key, const json& value) const {
    if (!value.is_number() || value.get<double>() < 0)
      fail(at(key), "a number of seconds, not negative", value);
    return std::chrono::duration<double>(value.get<double>());
  }
  std::string as_text(const char* key, const json& value) const {
    if (!value.is_string()) fail(at(key), "a string", value);
    return value.get<std::string>();
  }
  template <class Integer>
  std::int64_t as_integer(const char* key, const json& value) const {
    const bool fits =
        value.is_number_unsigned()
            ? value.get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<Integer>::max()}
            : value.is_number_integer() &&
                  value.get<std::int64_t>() >= std::int64_t{std::numeric_limits<Integer>::min()};
    if (!fits) fail(at(key), "an integer of " + std::to_string(sizeof(Integer) * 8) + " bits", value);
    return value.get<std::int64_t>();
  }

  const json& value_;
  std::string path_;
};

RetryStrategy read_retry(const Object& in) {
  RetryStrategy retry;
  retry.max_attempts = in.optional_integer("max_attempts");
  retry.wait = in.seconds("wait_s");
  retry.linear_wait = in.seconds("linear_wait_s");
  retry.exponential_wait = in.seconds("exponential_wait_s");
  retry.max_wait = in.optional_seconds("max_wait_s");
  retry.jitter = in.part("jitter");
  retry.on_crash = in.boolean("on_crash");
  retry.priority = in.optional_integer("priority");
  retry.queue = in.optional_text("queue");
  retry.lock = in.optional_text("lock");
  return retry;
}

TaskDescription read_task(const Object& in) {
  TaskDescription task;
  task.name = in.text("name");
  task.queue = in.text("queue");
  task.priority = in.integer("priority");
  task.lock = in.optional_text("lock");
  task.queueing_lock = in.optional_text("queueing_lock");
  task.time_limit = in.milliseconds("time_limit_ms");
  if (const auto retry = in.optional_object("retry")) task.retry = read_retry(*retry);
  task.aliases = in.texts("aliases");
  task.memory_limit = in.size("memory_limit_bytes");
  task.concurrency_limit = in.count("concurrency_limit");
  task.fresh_process = in.flag("fresh_process");
  return task;
}

PeriodicDescription read_periodic(const Object& in) {
  PeriodicDescription periodic{
      .cron = in.text("cron"), .task = in.text("task"), .id = in.text("id"), .args = in.object_text("args")};
  periodic.zone = in.optional_text("zone").value_or(periodic.zone);
  periodic.missed_within = in.optional_seconds("missed_within_s").value_or(periodic.missed_within);
  periodic.missed = in.optional_missed("missed").value_or(periodic.missed);
  return periodic;
}

// Without the library's own mark: "[json.exception.out_of_range.406] number overflow parsing '1e999'".
std::string reason_of(const json::exception& error) {
  const std::string what = error.what();
  const std::size_t mark = what.find("] ");
  return mark == std::string::npos ? what : what.substr(mark + 2);
}

json parse(std::string_view text) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw std::runtime_error("the description is not JSON (at byte " + std::to_string(error.byte) + ")");
  } catch (const json::exception& error) {
    throw std::runtime_error("the description cannot be read: " + reason_of(error));
  }
}

}  // namespace

const TaskDescription* Description::find(std::string_view task) const {
  const auto found = std::find_if(tasks.begin(), tasks.end(), [task](const auto& t) {
    return t.name == task || std::find(t.aliases.begin(), t.aliases.end(), task) != t.aliases.end();
  });
  return found == tasks.end() ? nullptr : &*found;
}

Description parse_description(std::string_view text) {
  const json whole = parse(text);
  const Object in(whole, "");
  Description description;
  description.libtask_version = in.text("libtask_version");
  description.protocol_version = in.integer("protocol_version");
  description.stack_signal = in.optional_integer("stack_signal");
  const int signal = description.stack_signal.value_or(0);
  if (signal < SIGRTMIN || signal > SIGRTMAX)
    description.stack_signal.reset();  // none of those that libtask takes
  for (const Object& task : in.objects("tasks")) description.tasks.push_back(read_task(task));
  for (const Object& periodic : in.objects("periodic"))
    description.periodic.push_back(read_periodic(periodic));
  return description;
}

}  // namespace libtask::wire

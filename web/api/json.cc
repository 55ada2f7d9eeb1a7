#include "web/api/json.h"

#include <array>
#include <cstdio>

#include "sys/utf8.h"
#include "web/html/format.h"

namespace postpone::web {
namespace {

// As JSON wants it, and a little more: < never begins a tag, whatever takes the text for a page.
void append_escaped(std::string& text, std::string_view character) {
  const auto byte = static_cast<unsigned char>(character.front());
  if (character == "\"" || character == "\\") {
    text.append(1, '\\').append(character);
  } else if (byte < 0x20 || character == "<" || byte == 0x7f) {
    std::array<char, 8> escape{};
    std::snprintf(escape.data(), escape.size(), "\\u%04x", byte);
    text += escape.data();
  } else {
    text += character;
  }
}

}  // namespace

void JsonWriter::value(std::string_view string) {
  separate();
  text_ += '"';
  for (std::size_t at = 0; at < string.size();) {
    const std::size_t bytes = sys::utf8_character_at(string, at);
    if (bytes == 0)
      text_ += sys::kReplacement;
    else
      append_escaped(text_, string.substr(at, bytes));
    at += bytes == 0 ? 1 : bytes;
  }
  text_ += '"';
}

void JsonWriter::value(sql::Seconds duration) {
  if (!std::isfinite(duration.count())) return null();
  separate();
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.6g", duration.count());
  text_ += text.data();
}

void JsonWriter::value(sql::DatabaseTime time) {
  value(iso_text(time));
}

void JsonWriter::value(sql::BoundedCount count) {
  object([&] {
    field("count", count.count);
    field("is_more", count.is_more);
  });
}

void JsonWriter::raw(const std::optional<std::string>& json) {
  if (!json) return null();
  separate();
  text_ += *json;
}

void write_reading(JsonWriter& json, const sql::Reading& reading) {
  json.field("now", reading.now);
  json.field("database", reading.database);
  json.field("schema_version", reading.schema_version);
}

void write(JsonWriter& json, const sql::FleetJob& job) {
  json.object([&] {
    json.field("id", job.id);
    json.field("task", job.task);
    json.field("queue", job.queue);
    json.field("state", sql::to_string(job.state));
    json.field("priority", job.priority);
    json.field("lock", job.lock);
    json.field("queueing_lock", job.queueing_lock);
    // The beginning of JSON is no JSON: it stands there as a text, under another name.
    json.raw_field("args", job.args_are_cut ? std::nullopt : job.args);
    json.field("args_beginning", job.args_are_cut ? job.args : std::nullopt);
    json.field("scheduled_at", job.scheduled_at);
    json.field("attempts", job.attempts);
    json.field("cause", job.cause);
    json.text_field("message", job.message);
    json.field("run_time_s", job.run_time);
    json.field("last_event_at", job.last_event_at);
    json.text_field("worker", job.worker);
  });
}

void write(JsonWriter& json, const sql::InLine& job) {
  json.object([&] {
    json.field("id", job.id);
    json.field("task", job.task);
    json.field("state", sql::to_string(job.state));
    json.field("scheduled_at", job.scheduled_at);
  });
}

void write(JsonWriter& json, const std::optional<sql::InLine>& job) {
  job ? write(json, *job) : json.null();
}

void write(JsonWriter& json, const std::optional<sql::Progress>& progress) {
  if (!progress) return json.null();
  json.object([&] {
    json.field("done", progress->done);
    json.field("total", progress->total);
    json.text_field("note", progress->note);
  });
}

void write(JsonWriter& json, const std::optional<sql::Lease>& lease) {
  if (!lease) return json.null();
  json.object([&] {
    json.field("worker_id", lease->id);
    json.field("foreign", lease->foreign);
    json.text_field("name", lease->name);
    json.text_field("host", lease->host);
    json.text_field("supervisor", lease->supervisor);
    json.field("pid", lease->pid);
    json.field("registered_at", lease->registered_at);
    json.field("last_heartbeat", lease->last_heartbeat);
    json.field("silent_s", lease->silent_for);
  });
}

}  // namespace postpone::web

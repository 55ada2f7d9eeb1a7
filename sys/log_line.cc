#include "sys/log_line.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/pattern_formatter.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sys/utf8.h"

namespace postpone::sys {

namespace {

void append_in_hex(std::string_view bytes, std::string& text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += "\\x";
    text += kHex[byte >> 4];
    text += kHex[byte & 0xf];
  }
}

// For people: what would be obeyed, and what is no UTF-8, is shown instead, so that no message can fake a
// line of its own, repaint a terminal, or read as another text.
std::string for_text(std::string_view message) {
  std::string shown;
  shown.reserve(message.size());
  for (std::size_t i = 0; i < message.size();) {
    const std::size_t length = utf8_character_at(message, i);
    const std::string_view character = message.substr(i, std::max<std::size_t>(length, 1));
    i += character.size();
    if (character == "\n")
      shown += "\\n";
    else if (character == "\t")
      shown += "\\t";
    else if (length == 0)
      append_in_hex(character, shown);
    else if (const char32_t code_point = utf8_code_point(character, 0, length); !is_obeyed(code_point))
      shown += character;
    else if (code_point <= 0x9F)
      append_in_hex(character, shown);
    else
      shown += fmt::format("\\u{:04X}", static_cast<unsigned>(code_point));
  }
  return shown;
}

// A JSON string; bytes that are no UTF-8 become U+FFFD.
std::string for_json(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string for_json(std::int64_t number) {
  return std::to_string(number);
}

std::string for_json(double number) {
  return nlohmann::json(number).dump();
}

std::string for_json(const std::vector<std::string>& texts) {
  return nlohmann::json(texts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// It goes on as it is understood here, and nothing of it is taken on trust: a line stays one line.
std::string for_json(const LogJson& json) {
  constexpr int kDeepest = 32;
  bool too_deep = false;
  const auto value = nlohmann::json::parse(
      json.text,
      [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
        too_deep |= depth > kDeepest;
        return depth <= kDeepest;
      },
      false);
  if (too_deep || value.is_discarded()) return for_json(std::string_view(json.text));
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int priority_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return LOG_CRIT;
    case spdlog::level::err:
      return LOG_ERR;
    case spdlog::level::warn:
      return LOG_WARNING;
    case spdlog::level::info:
      return LOG_INFO;
    default:
      return LOG_DEBUG;
  }
}

// "sub-worker kitchen/3"
std::string name_of(const LogIdentity& identity) {
  if (!identity.slot) return identity.role;
  return fmt::format("{} {}/{}", identity.role, identity.group, *identity.slot);
}

// "job 17 dishes.wash traceparent=00-4bf9…-01 stdout: " or less.
std::string beginning_of(const LogState& state) {
  std::string words;
  if (state.job) words = fmt::format("job {} {}", state.job->id, for_text(state.job->task));
  if (state.job && !state.job->traceparent.empty())
    words += " traceparent=" + for_text(state.job->traceparent);
  if (!state.stream.empty()) {
    if (words.empty()) words = "task process";
    words.append(" ").append(state.stream);
  }
  return words.empty() ? words : words + ": ";
}

class TextFormatter : public spdlog::formatter {
 public:
  TextFormatter(bool journal, const LogState& state)
      : journal_(journal),
        state_(state),
        time_("%Y-%m-%d %H:%M:%S.%e ", spdlog::pattern_time_type::local, "") {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override {
    const std::string_view payload(message.payload.data(), message.payload.size());
    std::string ending;
    for (const LogField& field : state_.fields)
      if (const auto* json = std::get_if<LogJson>(&field.value)) ending += " " + for_json(*json);
    one_line(message, beginning_of(state_) + for_text(payload) + for_text(ending), line);
    for (const LogField& field : state_.fields) {
      const auto* texts = std::get_if<std::vector<std::string>>(&field.value);
      if (texts == nullptr) continue;
      for (const std::string& text : *texts)
        one_line(message, beginning_of(state_) + "    " + for_text(text), line);
    }
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>(journal_, state_);
  }

 private:
  void one_line(const spdlog::details::log_msg& message, const std::string& text,
                spdlog::memory_buf_t& line) {
    if (journal_)
      fmt::format_to(std::back_inserter(line), "<{}>", priority_of(message.level));
    else
      time_.format(message, line);
    const auto level = spdlog::level::to_string_view(message.level);
    fmt::format_to(std::back_inserter(line), "{:5} [{} {}] {}\n",
                   std::string_view(level.data(), level.size()), for_text(name_of(state_.identity)),
                   ::getpid(), text);
  }

  const bool journal_;
  const LogState& state_;
  spdlog::pattern_formatter time_;
};

class JsonFormatter : public spdlog::formatter {
 public:
  JsonFormatter(bool priorities, const LogState& state)
      : priorities_(priorities),
        state_(state),
        time_("%Y-%m-%dT%H:%M:%S.%eZ", spdlog::pattern_time_type::utc, "") {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override {
    if (priorities_) fmt::format_to(std::back_inserter(line), "<{}>", priority_of(message.level));
    append(line, R"({"time":")");
    time_.format(message, line);
    append(line, "\"");
    const auto level = spdlog::level::to_string_view(message.level);
    field(line, "level", for_json(std::string_view(level.data(), level.size())));
    field(line, "component",
          for_json(std::string_view(message.logger_name.data(), message.logger_name.size())));
    tell_who(line);
    tell_job(line);
    if (!state_.stream.empty()) field(line, "stream", for_json(state_.stream));
    field(line, "message", for_json(std::string_view(message.payload.data(), message.payload.size())));
    for (const LogField& extra : state_.fields)
      field(line, extra.name, std::visit([](const auto& value) { return for_json(value); }, extra.value));
    append(line, "}\n");
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>(priorities_, state_);
  }

 private:
  static void append(spdlog::memory_buf_t& line, std::string_view text) {
    line.append(text.data(), text.data() + text.size());
  }

  static void field(spdlog::memory_buf_t& line, std::string_view name, const std::string& json) {
    append(line, ",\"");
    append(line, name);
    append(line, "\":");
    append(line, json);
  }

  void tell_who(spdlog::memory_buf_t& line) const {
    field(line, "role", for_json(state_.identity.role));
    if (state_.identity.slot) {
      field(line, "group", for_json(state_.identity.group));
      field(line, "slot", for_json(static_cast<std::int64_t>(*state_.identity.slot)));
    }
    field(line, "pid", for_json(static_cast<std::int64_t>(::getpid())));
  }

  void tell_job(spdlog::memory_buf_t& line) const {
    if (!state_.job) return;
    field(line, "job", for_json(state_.job->id));
    field(line, "task", for_json(state_.job->task));
    field(line, "attempt", for_json(static_cast<std::int64_t>(state_.job->attempt)));
    if (!state_.job->traceparent.empty()) field(line, "traceparent", for_json(state_.job->traceparent));
  }

  const bool priorities_;
  const LogState& state_;
  spdlog::pattern_formatter time_;
};

}  // namespace

std::unique_ptr<spdlog::formatter> make_log_formatter(LogForm form, bool priorities, const LogState& state) {
  if (form == LogForm::json) return std::make_unique<JsonFormatter>(priorities, state);
  return std::make_unique<TextFormatter>(form == LogForm::journal, state);
}

}  // namespace postpone::sys

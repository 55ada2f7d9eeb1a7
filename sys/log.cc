#include "sys/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace postpone::sys {

namespace {

constexpr char kMessageFlag = '*';

// The second byte of U+0080 to U+009F, which terminals take for the beginning of a command as they do escape.
bool is_c1(std::string_view text, std::size_t i) {
  const auto byte = static_cast<unsigned char>(text[i]);
  return i > 0 && text[i - 1] == '\xc2' && byte >= 0x80 && byte < 0xa0;
}

// For people: control characters are shown, not obeyed, so that no message can fake a line of its own or
// repaint a terminal.
std::string for_text(std::string_view message) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string shown;
  shown.reserve(message.size());
  for (std::size_t i = 0; i < message.size(); ++i) {
    const char c = message[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      shown += "\\n";
    } else if (c == '\t') {
      shown += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || is_c1(message, i)) {
      shown += "\\x";
      shown += kHex[byte >> 4];
      shown += kHex[byte & 0xf];
    } else {
      shown += c;
    }
  }
  return shown;
}

// The inside of a JSON string; bytes that are no UTF-8 become U+FFFD.
std::string for_json(std::string_view message) {
  const std::string quoted =
      nlohmann::json(message).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

using Escape = std::string (*)(std::string_view);

class EscapedMessage : public spdlog::custom_flag_formatter {
 public:
  explicit EscapedMessage(Escape escape) : escape_(escape) {}

  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& line) override {
    const std::string text = escape_({message.payload.data(), message.payload.size()});
    line.append(text.data(), text.data() + text.size());
  }

  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<EscapedMessage>(escape_);
  }

 private:
  Escape escape_;
};

std::string literal(const std::string& text) {
  std::string pattern;
  for (const char c : text) pattern += c == '%' ? std::string("%%") : std::string(1, c);
  return pattern;
}

std::unique_ptr<spdlog::formatter> make_formatter(const LogOptions& options) {
  const bool json = options.format == "json";
  const Escape escape = json ? for_json : for_text;
  const std::string role = literal(escape(options.role));
  auto formatter = std::make_unique<spdlog::pattern_formatter>(json ? spdlog::pattern_time_type::utc
                                                                    : spdlog::pattern_time_type::local);
  formatter->add_flag<EscapedMessage>(kMessageFlag, escape);
  formatter->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","role":")" + role +
                                    R"(","pid":%P,"message":"%*"})"
                              : "%Y-%m-%d %H:%M:%S.%e %-5l [" + role + " %P] %*");
  return formatter;
}

spdlog::level::level_enum level_named(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 5> kLevels{{
      {"trace", spdlog::level::trace},
      {"debug", spdlog::level::debug},
      {"info", spdlog::level::info},
      {"warning", spdlog::level::warn},
      {"error", spdlog::level::err},
  }};
  for (const auto& [known, level] : kLevels) {
    if (name == known) return level;
  }
  throw std::invalid_argument("unknown log level \"" + name + "\": use trace, debug, info, warning or error");
}

}  // namespace

void init_log(const LogOptions& options) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_formatter(make_formatter(options));
  auto logger = std::make_shared<spdlog::logger>("postpone", std::move(sink));
  logger->set_level(level_named(options.level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace postpone::sys

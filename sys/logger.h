// Log lines of this process: sys::log.info("{} is back", name) for the component that the process is, and
// sys::log_of(component).info(…) for another one. sys/log.h says where the lines go.
//
// log.cc formats the texts, so that a caller's file holds no formatter: spdlog's own functions put all of fmt
// into every file that logs, which takes the compiler five seconds.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <string_view>

#include "sys/log.h"

namespace postpone::sys {

enum class Level { trace, debug, info, warning, error, critical };

class Logger {
 public:
  constexpr Logger() = default;  // the component that the process is
  constexpr explicit Logger(Component component) : component_(component) {}

  bool should_log(Level level) const;

  // A text without values stands as it is, braces too.
  void log(Level level, std::string_view text) const;
  template <class... Values>
  void log(Level level, fmt::format_string<Values...> text, Values&&... values) const {
    format(level, text, fmt::make_format_args(values...));
  }

  void debug(std::string_view text) const { log(Level::debug, text); }
  template <class... Values>
  void debug(fmt::format_string<Values...> text, Values&&... values) const {
    format(Level::debug, text, fmt::make_format_args(values...));
  }

  void info(std::string_view text) const { log(Level::info, text); }
  template <class... Values>
  void info(fmt::format_string<Values...> text, Values&&... values) const {
    format(Level::info, text, fmt::make_format_args(values...));
  }

  void warn(std::string_view text) const { log(Level::warning, text); }
  template <class... Values>
  void warn(fmt::format_string<Values...> text, Values&&... values) const {
    format(Level::warning, text, fmt::make_format_args(values...));
  }

  void error(std::string_view text) const { log(Level::error, text); }
  template <class... Values>
  void error(fmt::format_string<Values...> text, Values&&... values) const {
    format(Level::error, text, fmt::make_format_args(values...));
  }

  void critical(std::string_view text) const { log(Level::critical, text); }
  template <class... Values>
  void critical(fmt::format_string<Values...> text, Values&&... values) const {
    format(Level::critical, text, fmt::make_format_args(values...));
  }

 private:
  void format(Level level, fmt::string_view text, fmt::format_args values) const;

  std::optional<Component> component_;
};

inline constexpr Logger log;

const Logger& log_of(Component component);

}  // namespace postpone::sys

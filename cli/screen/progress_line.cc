#include "cli/screen/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "cli/screen/terminal.h"
#include "cli/text/text.h"

namespace postpone::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 500ms;
constexpr auto kInterval = 100ms;
constexpr std::size_t kBarWidth = 20;
constexpr double kTooEarly = 0.02;  // below this fraction the time left cannot be estimated

}  // namespace

ProgressLine::ProgressLine()
    : on_terminal_(isatty(STDERR_FILENO) == 1), begin_(Clock::now()), next_(begin_ + kPatience) {}

ProgressLine::~ProgressLine() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
}

void ProgressLine::update(double fraction, const std::string& detail) {
  const auto now = Clock::now();
  if (!on_terminal_ || now < next_) return;
  next_ = now + kInterval;
  shown_ = true;
  std::cerr << '\r'
            << progress_text(fraction, detail, now - begin_,
                             terminal_size(STDERR_FILENO).value_or(ScreenSize()).width)
            << "\x1b[K" << std::flush;
}

std::string progress_text(double fraction, const std::string& detail, std::chrono::duration<double> elapsed,
                          std::size_t width) {
  std::string line;
  if (fraction < 0) {
    line = detail + ", " + human_duration(elapsed);
  } else {
    fraction = std::min(fraction, 1.0);
    const auto filled = static_cast<std::size_t>(std::floor(fraction * kBarWidth));
    const std::string percent = std::to_string(static_cast<int>(std::floor(fraction * 100)));
    line = "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '-') + "] " +
           std::string(3 - percent.size(), ' ') + percent + " %  " + detail;
    if (fraction >= kTooEarly) line += ", " + human_duration(elapsed * (1 / fraction - 1)) + " left";
  }
  // A line that reached the last column would make the terminal scroll.
  if (width > 1 && line.size() > width - 1) line.resize(width - 1);
  return line;
}

}  // namespace postpone::cli

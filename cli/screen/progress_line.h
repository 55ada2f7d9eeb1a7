// One line that shows how far long work has come, redrawn in place on standard error, if that is a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace postpone::cli {

// Appears when the work has taken half a second, and is redrawn ten times a second at most. The destructor
// clears the line, so that the command can print its result there.
class ProgressLine {
 public:
  ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();

  // `fraction` is from 0 to 1, or negative when it is not known how much there is to do.
  void update(double fraction, const std::string& detail);

 private:
  using Clock = std::chrono::steady_clock;
  const bool on_terminal_;
  const Clock::time_point begin_;
  Clock::time_point next_;
  bool shown_ = false;
};

// "[######--------------]  30 %  300000 jobs, 1 min 10 s left", at most `width` columns (0 = no limit). For a
// negative fraction "300000 jobs, 30.0 s", with the time that has passed. Pure.
std::string progress_text(double fraction, const std::string& detail, std::chrono::duration<double> elapsed,
                          std::size_t width);

}  // namespace postpone::cli

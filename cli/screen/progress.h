// How far long work has come: one line on standard error, over and over, where that is a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace postpone::cli {

// Shows nothing before the work has taken half a second, and ten pictures a second at most. The line is wiped
// at the end of the object's life, so that what is printed then stands alone.
class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // `fraction` is from 0 to 1, or negative when nobody knows how much there is.
  void update(double fraction, const std::string& detail);

 private:
  using Clock = std::chrono::steady_clock;
  const bool on_terminal_;
  const Clock::time_point begin_;
  Clock::time_point next_;
  bool shown_ = false;
};

// "[######--------------]  30 %  300000 jobs, 1 min 10 s left", at most `width` columns (0 = no limit);
// without bar and rest for a negative fraction. Pure.
std::string progress_line(double fraction, const std::string& detail, std::chrono::duration<double> elapsed,
                          std::size_t width);

}  // namespace postpone::cli

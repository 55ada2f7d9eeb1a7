// What of a process is given to each job as it was at the start: the working directory, the mask for new
// files, the signals that are blocked, the alarm clock, and SIGTERM as a wish to stop.
#pragma once

#include <csignal>

#include <sys/types.h>

namespace libtask::detail {

class Surroundings {
 public:
  // As they are now. REQUIRES: no other thread creates files meanwhile.
  Surroundings();
  ~Surroundings();
  Surroundings(const Surroundings&) = delete;
  Surroundings& operator=(const Surroundings&) = delete;

  // Puts back what a job has changed. By the thread that runs handlers.
  void restore() const;

 private:
  void forget_deadly_signals() const;

  int directory_;  // -1: it cannot be opened, and is not put back
  mode_t umask_;
  sigset_t blocked_;
  bool has_alarm_;  // the program's own, which is left alone
};

}  // namespace libtask::detail

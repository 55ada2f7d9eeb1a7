// What a job may leave behind that the sub-worker has to see before another job runs: output, changed standard
// descriptors, processes.
#pragma once

#include <sys/types.h>

#include <array>

namespace libtask::detail {

class Traces {
 public:
  // Standard descriptors as they are now. REQUIRES: made once, before the first job.
  Traces();

  // A job of a set begins.
  void begin();
  // Has it left nothing of that kind? Costs a system call for each descriptor, each pipe, and the children.
  bool are_none() const;

 private:
  struct File {
    dev_t device = 0;
    ino_t number = 0;
    bool is_open = false;
    friend bool operator==(const File&, const File&) = default;
  };
  static File file_behind(int descriptor);

  std::array<File, 3> standard_;
  int forks_ = 0;  // so many before the job
};

}  // namespace libtask::detail

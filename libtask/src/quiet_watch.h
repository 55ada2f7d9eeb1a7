// Whether a job was quiet: it has made no system call. Such a job cannot have changed anything of its process but
// memory. It has written nothing, has no child, and directory, signals and descriptors are as they were, so that
// none of this need be looked for or put back, which takes 17 system calls and is most of what a short job costs.
//
// The kernel tells (syscall user dispatch, Linux 5.11): it turns the first system call of the watched thread into
// SIGSYS. The handler of that signal notes it, ends the watch, and lets the call be made after all, so that the
// job notices nothing. What is asked of the kernel otherwise (usage, /proc) are some system calls each and not
// exact, and functions that stand before those of libc are not seen by libc itself.
#pragma once

namespace libtask::detail {

class QuietWatch {
 public:
  // Of the calling thread. It watches nothing where the kernel cannot (another processor than x86-64, an older
  // kernel, a sandbox), where SIGSYS is blocked, and under valgrind or the thread sanitizer: then no job counts
  // as quiet. REQUIRES: one at a time.
  QuietWatch();
  ~QuietWatch() { pause(); }
  QuietWatch(const QuietWatch&) = delete;
  QuietWatch& operator=(const QuietWatch&) = delete;

  // A job begins. Costs nothing while one quiet job follows another.
  void begin();
  // The job has ended, and its output is flushed. True only if it was quiet. A process with several threads has
  // no quiet jobs, since only one of the threads is watched.
  bool end();
  // A job is about to run that is not to be watched, whose system calls would be a little dearer otherwise.
  void pause();

 private:
  bool arm();

  bool usable_;
  bool armed_ = false;
  bool watching_ = false;
  int others_in_a_row_ = 0;  // watched jobs that were not quiet
  int unwatched_ = 0;        // so many jobs to come are not watched
};

}  // namespace libtask::detail

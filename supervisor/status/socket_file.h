// The Unix socket in the file system: how it is made without taking the path from a process that still
// listens there, and how it is removed.
//
//   lock file (flock, for as long as we live) ─▶ what lies at the path? nothing / a dead socket: removed /
//   anything else: refused ─▶ bind, group, mode ─▶ listen
//
// The kernel frees the lock when its process ends, in whatever way. So a free lock means that the socket at
// the path is stale, unless a program that takes no part in the locking made it: then a connect() is
// answered.
#pragma once

#include <sys/types.h>

#include <stdexcept>
#include <string>

#include "sys/fd.h"

namespace postpone::supervisor::status {

// The socket cannot be made, and waiting would not help: its directory is not there, say.
class SocketMistake : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class SocketFile {
 public:
  // Throws std::runtime_error, one line that says what to do, when the socket cannot be had.
  // `group`: empty = as it is.
  SocketFile(std::string path, int mode, const std::string& group);
  // Removes the socket, if it is still ours. The lock file stays: removing it would be a race.
  ~SocketFile();
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

  int fd() const { return socket_.get(); }  // listening, not blocking
  // False when it was removed, or something else was put in its place.
  bool is_there() const;

 private:
  void lock();
  void clear_path() const;
  void bind_and_listen(int mode, const std::string& group);

  const std::string path_;
  sys::Fd lock_;
  sys::Fd socket_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace postpone::supervisor::status

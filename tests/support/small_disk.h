// A disk that is quickly full.
#pragma once

#include <cstddef>
#include <string>

#include "tests/support/files.h"

namespace postpone::tests {

class SmallDisk {
 public:
  // Of so many MiB, in memory, owned by the user postgres when root asks.
  explicit SmallDisk(int mebibytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Empty, or why there is no such disk: not everybody may mount one.
  const std::string& refusal() const { return refusal_; }
  std::string path(const std::string& name) const { return directory_.file("disk/" + name); }

  void fill();   // nothing more goes on it
  void clear();  // what fill() took is free again

 private:
  TemporaryDirectory directory_;
  std::string refusal_;
};

}  // namespace postpone::tests

// Files of a test.
#pragma once

#include <string>

namespace postpone::tests {

// A directory in /tmp that goes with its object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A whole file; empty when there is none.
std::string read_file(const std::string& path);

}  // namespace postpone::tests

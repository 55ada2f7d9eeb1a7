#include "tests/support/files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "sys/fd.h"

namespace postpone::tests {

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = "/tmp/postpone-test.XXXXXX";
  if (!::mkdtemp(pattern.data())) sys::throw_errno("mkdtemp");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace postpone::tests

// A stamp by which a file is known again: another file at the same path has another one, and so has a file
// that was written to.
#pragma once

#include <cstdint>
#include <string>

namespace postpone::sys {

struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t bytes = 0;
  std::int64_t changed_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

// Of what the path leads to in the end, symbolic links followed. All zero when there is nothing.
FileStamp file_stamp(const std::string& path);

}  // namespace postpone::sys

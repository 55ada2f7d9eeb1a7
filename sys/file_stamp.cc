#include "sys/file_stamp.h"

#include <sys/stat.h>

namespace postpone::sys {

FileStamp file_stamp(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino, file.st_size,
          file.st_mtim.tv_sec * 1'000'000'000LL + file.st_mtim.tv_nsec};
}

}  // namespace postpone::sys

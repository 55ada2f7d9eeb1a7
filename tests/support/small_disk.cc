#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sys/fd.h"
#include "tests/support/program.h"

namespace postpone::tests {
namespace {

constexpr const char* kFiller = "filler";

}  // namespace

SmallDisk::SmallDisk(int mebibytes) {
  std::filesystem::create_directory(directory_.file("disk"));
  const std::string options = "size=" + std::to_string(mebibytes) + "m";
  if (::mount("small", directory_.file("disk").c_str(), "tmpfs", 0, options.c_str()) != 0) {
    refusal_ = std::string("cannot mount a small disk: ") + std::strerror(errno);
    return;
  }
  run_program({"chown", "postgres:", directory_.file(""), path("")});
}

SmallDisk::~SmallDisk() {
  if (refusal_.empty()) ::umount2(directory_.file("disk").c_str(), MNT_DETACH);
}

void SmallDisk::fill() {
  const sys::Fd file(::open(path(kFiller).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file) sys::throw_errno("filler");
  const std::array<char, 4096> block{};
  while (::write(file.get(), block.data(), block.size()) > 0) {
  }
  if (errno != ENOSPC) sys::throw_errno("filler");
}

void SmallDisk::clear() {
  std::filesystem::remove(path(kFiller));
}

}  // namespace postpone::tests

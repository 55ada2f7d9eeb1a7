#include "board/ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace postpone::board {

using Memory = libtask::wire::Ledger;

Ledger::Ledger(sys::Fd fd) : fd_(std::move(fd)) {
  void* const memory = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (memory == MAP_FAILED) sys::throw_errno("cannot map a ledger");
  memory_ = static_cast<Memory*>(memory);
}

Ledger Ledger::create() {
  sys::Fd fd(::memfd_create("postpone-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) sys::throw_errno("cannot make a ledger");
  if (::ftruncate(fd.get(), sizeof(Memory)) != 0) sys::throw_errno("cannot size a ledger");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    sys::throw_errno("cannot seal a ledger");
  return Ledger(std::move(fd));
}

Ledger Ledger::attach(sys::Fd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || status.st_size != static_cast<off_t>(sizeof(Memory)))
    throw std::runtime_error("descriptor " + std::to_string(fd.get()) +
                             " is not a ledger of this version; supervisor and sub-worker must come from the "
                             "same installation");
  return Ledger(std::move(fd));
}

Ledger::Ledger(Ledger&& other) noexcept
    : fd_(std::move(other.fd_)), memory_(std::exchange(other.memory_, nullptr)) {}

Ledger& Ledger::operator=(Ledger&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(memory_, other.memory_);
  return *this;
}

Ledger::~Ledger() {
  if (memory_ != nullptr) ::munmap(memory_, sizeof(Memory));
}

}  // namespace postpone::board

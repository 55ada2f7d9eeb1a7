// The memory of a ledger (libtask/wire/ledger.h), as the supervisor, its sub-worker and a test hold it.
//
// A memfd of fixed size, which no process can shrink under another one that reads it. The supervisor makes one
// for each incarnation of a sub-worker and keeps a mapping, by which it reads at the burial how far a set has
// come. The sub-worker inherits the descriptor, and hands it on to its task processes.
#pragma once

#include <cstdint>
#include <optional>

#include "libtask/wire/ledger.h"
#include "sys/fd.h"

namespace postpone::board {

// Move-only; unmapped at the end, the memory itself lives as long as any process holds it.
class Ledger {
 public:
  // Throws std::system_error.
  static Ledger create();
  // The one behind an inherited descriptor. Throws std::runtime_error when it is none.
  static Ledger attach(sys::Fd fd);

  Ledger(Ledger&& other) noexcept;
  Ledger& operator=(Ledger&& other) noexcept;
  ~Ledger();

  int fd() const { return fd_.get(); }
  // Keeps the mapping alone: there may be a thousand of them.
  void close_fd() { fd_.reset(); }
  libtask::wire::Ledger& operator*() const { return *memory_; }
  libtask::wire::Ledger* operator->() const { return memory_; }

 private:
  explicit Ledger(sys::Fd fd);

  sys::Fd fd_;
  libtask::wire::Ledger* memory_;
};

}  // namespace postpone::board

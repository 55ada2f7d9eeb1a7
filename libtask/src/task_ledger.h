// The task process's end of the ledger (wire/ledger.h).
#pragma once

#include <cstdint>

#include "libtask/wire/ledger.h"

namespace libtask::detail {

class TaskLedger {
 public:
  // Maps the memory behind the descriptor that `variable`, the value of POSTPONE_TASK_LEDGER, names, and closes
  // the descriptor. Null = there is none. What the process forks does not have the memory. Throws ChannelError.
  explicit TaskLedger(const char* variable);
  ~TaskLedger();
  TaskLedger(const TaskLedger&) = delete;
  TaskLedger& operator=(const TaskLedger&) = delete;

  bool exists() const { return ledger_ != nullptr; }

  // The first job of a set runs from this moment on. REQUIRES: exists(), here and below.
  void begins(std::int64_t at_ns) noexcept { ledger_->entries[0].start(at_ns); }
  // The job at `index` was plain: the next one runs from this moment on. False when it must not, because the
  // sub-worker has singled this one out. REQUIRES: there is a next one.
  bool passes(std::uint32_t set, std::uint32_t index, const wire::PlainRun& run) noexcept;

 private:
  wire::Ledger* ledger_ = nullptr;
};

}  // namespace libtask::detail

#include "task_ledger.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "channel.h"

namespace libtask::detail {

TaskLedger::TaskLedger(const char* variable) {
  if (variable == nullptr) return;
  const int fd = descriptor_of(wire::kLedgerVariable, variable);
  void* const memory = mmap(nullptr, sizeof(wire::Ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    throw ChannelError(std::string(wire::kLedgerVariable) + " is set, but descriptor " + variable +
                       " is no ledger: " + std::strerror(errno));
  }
  close(fd);
  madvise(memory, sizeof(wire::Ledger), MADV_DONTFORK);
  ledger_ = static_cast<wire::Ledger*>(memory);
}

TaskLedger::~TaskLedger() {
  if (ledger_ != nullptr) munmap(ledger_, sizeof(wire::Ledger));
}

bool TaskLedger::passes(std::uint32_t set, std::uint32_t index, const wire::PlainRun& run) noexcept {
  ledger_->entries[index].write(run);
  ledger_->entries[index + 1].start(run.ended_ns);
  std::uint64_t here = wire::to_word({.set = set, .stop = false, .index = index});
  return ledger_->cursor.compare_exchange_strong(
      here, wire::to_word({.set = set, .stop = false, .index = index + 1}), std::memory_order_acq_rel);
}

}  // namespace libtask::detail

#include "subworker/housekeeper/heartbeats.h"

#include <algorithm>
#include <utility>

#include "sys/crash_point.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

using Milliseconds = std::chrono::milliseconds;

constexpr auto kOrphanSilence = 5s;  // a living sub-worker shows itself every second at least

}  // namespace

Heartbeats::Heartbeats(const config::Supervisor& config, const board::Board& board)
    : config_(config),
      board_(board),
      locked_backoff_(std::min<Milliseconds>(config.heartbeat_interval / 10, 100ms),
                      config.heartbeat_interval) {}

std::vector<sql::WorkerId> Heartbeats::leases() const {
  std::vector<sql::WorkerId> ids;
  const std::uint32_t slots = board_.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    const board::Slot& slot = board_.slot(i);
    const auto id = slot.lease.load();
    if (id != 0 && slot.lost_lease.load() != id) ids.push_back(id);
  }
  return ids;
}

void Heartbeats::disown_silent() {
  const std::uint32_t slots = board_.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    board::Slot& slot = board_.slot(i);
    const auto lease = slot.lease.load();
    const std::chrono::nanoseconds silent(board::now_ns() - slot.heartbeat_ns.load());
    if (lease == 0 || slot.lost_lease.load() == lease || silent < kOrphanSilence) continue;
    slot.lost_lease.store(lease);
    sys::log.warn(
        "lease {} of slot {} gets no heartbeats any more: no sign of life, and no supervisor to see why",
        lease, i);
  }
}

bool Heartbeats::keep(sql::JobManager& manager, Clock::time_point now) {
  if (now < next_) return false;
  const auto begun = board::boot_ns();
  const sql::Heartbeats heartbeats = manager.heartbeat(leases());
  sys::crash_point("housekeeper.heartbeat_committed");
  next_ = take(heartbeats, begun, Clock::now());
  return true;
}

// A lease that ended well in this moment is no longer on the board; one that was registered since the
// statement began was not in it, and is passed over.
//
// A row that is locked for a moment only must not cost a whole interval: the lease has to be heard of before
// fence_after.
Heartbeats::Clock::time_point Heartbeats::take(const sql::Heartbeats& heartbeats, std::int64_t begun_ns,
                                               Clock::time_point now) {
  const std::uint32_t slots = board_.slots();
  for (std::uint32_t i = 0; i < slots; ++i) {
    board::Slot& slot = board_.slot(i);
    const auto lease = slot.lease.load();
    if (std::ranges::binary_search(heartbeats.gone, lease)) report_lost(slot, i, lease);
    if (std::ranges::binary_search(heartbeats.stored, lease)) note_good(slot, lease, begun_ns);
  }
  report_locked(heartbeats.locked);
  if (!heartbeats.locked.empty()) return now + locked_backoff_.next(sys::chance());
  locked_backoff_.reset();
  return now + config_.heartbeat_interval;
}

// A sub-worker that was rung while it found itself fenced did not look for work, and is rung again. So is one
// whose lease is heard of for the first time: it is not known here when it was taken.
void Heartbeats::note_good(board::Slot& slot, sql::WorkerId lease, std::int64_t begun_ns) const {
  const auto before = slot.good_since(lease);
  slot.note_good_lease(lease, begun_ns);
  const std::chrono::nanoseconds unsure(board::boot_ns() - before);
  if (before == 0 || unsure > config_.fence_after) slot.doorbell.ring(board::kRungForWork);
}

void Heartbeats::report_lost(board::Slot& slot, std::uint32_t index, sql::WorkerId lease) {
  if (slot.lost_lease.exchange(lease) == lease) return;
  slot.doorbell.ring(board::kRungForWork);  // to take another
  sys::log.warn("lease {} of slot {} is gone from the database: another session took its sub-worker for dead",
                lease, index);
}

// One line for each lease, as long as the lock lasts, and none for a lock of a moment: a sub-worker that
// renews its lease, or `jobs finish`, holds one too.
void Heartbeats::report_locked(const std::vector<sql::WorkerId>& leases) {
  std::map<sql::WorkerId, int> misses;
  for (const sql::WorkerId lease : leases) {
    const int missed = misses[lease] = missed_[lease] + 1;
    if (missed != 2) continue;
    sys::log.warn(
        "lease {} gets no heartbeats: another session has locked its row of procrastinate_workers. Its "
        "sub-worker stops its job unless that ends before fence_after; the others go on",
        lease);
  }
  missed_ = std::move(misses);
}

}  // namespace postpone::subworker

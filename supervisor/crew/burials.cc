#include "supervisor/crew/burials.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "sys/crash_point.h"
#include "sys/logger.h"
#include "sys/process.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;

constexpr auto kRetry =
    1ms;  // SIGKILL takes a moment, for which the loop does not stop; a job waits meanwhile
constexpr auto kLongestRetry = 1s;

}  // namespace

Burials::Burials(board::Board& board, const Slots& slots, const TaskCgroups& cgroups,
                 const Children& children)
    : board_(board), slots_(slots), cgroups_(cgroups), children_(children), pause_(kRetry, kLongestRetry) {}

void Burials::take_in_orphans() {
  strangers_ = sys::children_of(::getpid());
  sys::become_subreaper();
}

void Burials::add(const Burial& burial) {
  burials_.push_back(burial);
  pause_.reset();
}

void Burials::note_leftovers() {
  leftovers_ = true;
  pause_.reset();
}

void Burials::finish(const std::function<void(const Burial&)>& buried) {
  if (burials_.empty() && !leftovers_) return;
  for (const Burial& burial : burials_)
    if (is_sub_worker(burial.member)) cgroups_.kill(burial.member);
  const bool nothing_left = kill_orphans();
  leftovers_ = leftovers_ && !nothing_left;
  if (nothing_left) sys::crash_point("supervisor.orphans_killed");
  const auto finished = std::erase_if(burials_, [&](const Burial& burial) {
    const bool rescue = is_sub_worker(burial.member) && burial.lease != 0;
    // A member without a lease ran no job, and need not wait for what others have left.
    if (rescue && !nothing_left) return false;
    if (is_sub_worker(burial.member)) board_.slot(burial.member).lease.store(0);  // the end of its heartbeat
    if (rescue && !board_.fill_grave(burial.member, burial.lease, slots_.ledger(burial.member))) return false;
    sys::crash_point("supervisor.grave_filled");
    if (is_sub_worker(burial.member)) board::reclaim_permits(board_, burial.member, burial.generation);
    buried(burial);
    return true;
  });
  if (finished > 0) pause_.reset();
  next_ = Clock::now() + pause_.next(sys::chance());
}

bool Burials::is_open(MemberId member) const {
  return std::any_of(burials_.begin(), burials_.end(), [&](const Burial& b) { return b.member == member; });
}

std::optional<Clock::time_point> Burials::next() const {
  if (burials_.empty() && !leftovers_) return std::nullopt;
  return next_;
}

// What `look_at_children` returns. False when it cannot look, for want of descriptors, say: the log has that
// once.
template <class Look>
bool Burials::look(Look look_at_children) {
  try {
    const bool result = look_at_children();
    trouble_.clear();
    return result;
  } catch (const std::system_error& error) {
    if (std::exchange(trouble_, error.what()) != error.what())
      sys::log.error("cannot look for what the dead have left behind, and will try again: {}", error.what());
    return false;
  }
}

bool Burials::kill_orphans(std::chrono::milliseconds limit) {
  std::vector<pid_t> spared = children_.pids();
  spared.insert(spared.end(), strangers_.begin(), strangers_.end());
  return look([&] { return sys::kill_orphans(spared, limit).left.empty(); });
}

void Burials::reap_strangers() {
  look([this] {
    sys::reap_dead(children_.pids());
    return true;
  });
}

}  // namespace postpone::supervisor

#include "supervisor/crew/burials.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "board/task_permits.h"
#include "sys/crash_point.h"
#include "sys/logger.h"
#include "sys/process.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;

// Where no event says that a burial can go on, since a grave or a descriptor is missing. A job waits meanwhile.
constexpr auto kRetry = 1ms;
constexpr auto kLongestRetry = 1s;
// A job may have left thousands of processes. When some are dead, the next try finds the others.
constexpr std::size_t kMostWatched = 16;
// A job that starts processes faster than they die is news again and again: from so many tries in a row on
// only time counts.
constexpr int kMostTriesByEvent = 100;
// A task process dies within a fraction of this, as a rule. The supervisor waits for it on the spot: to set up
// a watch, return to the loop and begin anew takes longer, and takes the processor from the one that is dying.
constexpr auto kMoment = 1ms;

bool is_readable(const sys::Fd& fd) {
  pollfd one{fd.get(), POLLIN, 0};
  return ::poll(&one, 1, 0) > 0;
}

}  // namespace

Burials::Burials(Loop& loop, board::Board& board, const Slots& slots, const TaskCgroups& cgroups,
                 const Children& children, std::function<void()> on_orphan_end)
    : loop_(loop),
      board_(board),
      slots_(slots),
      cgroups_(cgroups),
      children_(children),
      on_orphan_end_(std::move(on_orphan_end)),
      pause_(kRetry, kLongestRetry) {}

void Burials::take_in_orphans() {
  strangers_ = sys::children_of(::getpid());
  sys::become_subreaper();
}

void Burials::add(const Burial& burial) {
  burials_.push_back(burial);
  begin_anew();
}

void Burials::note_leftovers() {
  leftovers_ = true;
  begin_anew();
}

void Burials::begin_anew() {
  pause_.reset();
  next_ = {};
  tries_ = 0;
}

void Burials::finish(Clock::time_point now, const std::function<void(const Burial&)>& buried) {
  if (burials_.empty() && !leftovers_) return ends_.clear();
  for (const Burial& burial : burials_)
    if (is_sub_worker(burial.member)) cgroups_.kill(burial.member);
  // Once for each death, and not for the many of a massacre: the loop has others to serve.
  const bool waits = tries_++ == 0 && burials_.size() == 1;
  const auto left = kill_and_list_orphans(waits ? kMoment : 0ms);
  const bool nothing_left = left && left->empty();
  await_ends(left.value_or(std::vector<pid_t>{}));
  leftovers_ = leftovers_ && !nothing_left;
  if (nothing_left) sys::crash_point("supervisor.orphans_killed");
  const auto finished = std::erase_if(burials_, [&](const Burial& burial) {
    const bool rescue = is_sub_worker(burial.member) && burial.lease != 0;
    // A member without a lease ran no job, and need not wait for what others have left.
    if (rescue && !nothing_left) return false;
    if (is_sub_worker(burial.member)) board_.slot(burial.member).lease.store(0);  // the end of its heartbeat
    if (rescue && !board_.fill_grave(burial.member, burial.lease, slots_.ledger(burial.member))) return false;
    sys::crash_point("supervisor.grave_filled");
    if (is_sub_worker(burial.member)) {
      board::reclaim_permits(board_, burial.member, burial.generation);
      board::reclaim_task_permits(board_, burial.member, burial.generation);
    }
    buried(burial);
    return true;
  });
  if (finished > 0) begin_anew();
  // A member that spoke or another one that died may be why we are here: such a try says nothing of how long this
  // takes, and must not put off the next one.
  if (now >= next_) next_ = now + pause_.next(sys::chance());
}

bool Burials::is_open(MemberId member) const {
  return std::any_of(burials_.begin(), burials_.end(), [&](const Burial& b) { return b.member == member; });
}

std::optional<Clock::time_point> Burials::next() const {
  if (burials_.empty() && !leftovers_) return std::nullopt;
  return next_;
}

// The loop does not stop while they die, but for that moment. One that has ended and could not be reaped is not
// waited for, since its end would be news for ever: next() has it looked at again.
void Burials::await_ends(const std::vector<pid_t>& orphans) {
  ends_.clear();
  if (tries_ >= kMostTriesByEvent) return;
  for (const pid_t orphan : orphans) {
    if (ends_.size() == kMostWatched) return;
    const sys::Fd end = sys::end_of_child(orphan);
    if (!end || is_readable(end)) continue;
    try {
      ends_.emplace_back(loop_, end.get()).when_readable(on_orphan_end_);
    } catch (const std::system_error&) {  // out of descriptors: next() does without
      return;
    }
  }
}

// False when it cannot look, for want of descriptors, say: the log has that once.
bool Burials::look(const std::function<void()>& look_at_children) {
  try {
    look_at_children();
    trouble_.clear();
    return true;
  } catch (const std::system_error& error) {
    if (std::exchange(trouble_, error.what()) != error.what())
      sys::log.error("cannot look for what the dead have left behind, and will try again: {}", error.what());
    return false;
  }
}

// Those that live on for now; nothing when it cannot look.
std::optional<std::vector<pid_t>> Burials::kill_and_list_orphans(std::chrono::milliseconds limit) {
  std::vector<pid_t> spared = children_.pids();
  spared.insert(spared.end(), strangers_.begin(), strangers_.end());
  std::vector<pid_t> left;
  if (!look([&] { left = sys::kill_orphans(spared, limit).left; })) return std::nullopt;
  return left;
}

bool Burials::kill_orphans(std::chrono::milliseconds limit) {
  const auto left = kill_and_list_orphans(limit);
  return left && left->empty();
}

void Burials::reap_strangers() {
  look([this] { sys::reap_dead(children_.pids()); });
}

}  // namespace postpone::supervisor

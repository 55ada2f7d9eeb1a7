// A set of jobs in the task process, as long as nothing out of the ordinary happens. The first sign of that ends
// the set at the job that runs, which TaskProcess::Run sees to from there on.
//
// No output is read, nothing is killed and no question asked before the job that runs is known and is the last
// one: `stop` in the ledger's cursor comes first.
#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "libtask/wire/ledger.h"
#include "subworker/task/polling.h"
#include "subworker/task/task_run.h"
#include "sys/crash_point.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
namespace wire = libtask::wire;

// A job that runs for as long is by itself from then on.
constexpr auto kSetTick = 10ms;

std::int64_t to_ns(TaskProcess::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

TaskProcess::Clock::time_point to_time(std::int64_t ns) {
  return TaskProcess::Clock::time_point(std::chrono::nanoseconds(ns));
}

}  // namespace

class TaskProcess::Set {
 public:
  Set(TaskProcess& owner, const std::vector<SetMember>& jobs, const SetHooks& hooks)
      : owner_(owner), jobs_(jobs), hooks_(hooks), started_ns_(to_ns(Clock::now())) {}

  Execution go() {
    try {
      begin();
      while (goes_on()) wait();
    } catch (const wire::ProtocolError& error) {
      garble_ = error.what();
    }
    return end();
  }

 private:
  // The ledger first, and then the board, which names the set: see board::JobPhase::handed.
  void begin() {
    number_ = owner_.next_set();
    owner_.begin_output();
    owner_.ledger_->cursor.store(wire::to_word({.set = number_}), std::memory_order_release);
    hooks_.on_hand_over(number_);
    sys::crash_point("sub_worker.set_on_board");
    wire::Runs runs{.set = number_, .max_rss_bytes = static_cast<std::uint64_t>(owner_.group_.max_rss)};
    runs.runs.reserve(jobs_.size());
    for (const SetMember& member : jobs_) runs.runs.push_back(owner_.to_frame(member.job, member.time_limit));
    owner_.send(runs);
    sys::crash_point("sub_worker.set_sent");
  }

  // A frame may be a result, which is the end of the set in any case, or tell something of the job that runs.
  void wait() {
    Clock::duration tick = kSetTick;
    if (const auto left = hooks_.tick_at - Clock::now(); left > Clock::duration::zero())
      tick = std::min(tick, left);
    pollfd fds[] = {{owner_.channel_.fd(), POLLIN, 0},
                    {owner_.pipes_.fd(Output::Stream::out), POLLIN, 0},
                    {owner_.pipes_.fd(Output::Stream::err), POLLIN, 0},
                    {owner_.process_.pidfd(), POLLIN, 0}};
    is_disturbed_ = ::poll(fds, std::size(fds), to_poll_timeout(tick)) != 0;
  }

  bool goes_on() {
    if (is_disturbed_) return false;
    if (!is_begun_) return is_begun_ = true;
    const wire::Cursor cursor = wire::to_cursor(owner_.ledger_->cursor.load(std::memory_order_acquire));
    if (!wire::possible_in(cursor, number_, size(), seen_)) return false;
    const bool moves = cursor.index > seen_;
    seen_ = cursor.index;
    return hooks_.goes_on() && moves;
  }

  Execution end() {
    constexpr std::uint64_t kStop = wire::to_word({.set = 0, .stop = true, .index = 0});
    const auto cursor = wire::to_cursor(owner_.ledger_->cursor.fetch_or(kStop, std::memory_order_acq_rel));
    if (wire::possible_in(cursor, number_, size(), seen_))
      seen_ = cursor.index;
    else if (garble_.empty())
      garble_ = "its ledger says that another job runs than can be";
    const std::vector<wire::PlainRun> before = believed();
    sys::crash_point("sub_worker.set_ended");
    const SetMember& last = jobs_[before.size()];
    owner_.jobs_served_ += static_cast<int>(before.size());
    const RunHooks hooks = hooks_.on_last(before.size(), before);
    const std::int64_t since = before.empty() ? started_ns_ : before.back().ended_ns;
    const std::int64_t started = owner_.ledger_->entries[before.size()].started_ns();
    Run run(owner_, last.job, last.time_limit, hooks,
            to_time(std::clamp(started, since, std::max(since, to_ns(Clock::now())))));
    const Attended attended(owner_.running_, run);
    return garble_.empty() ? run.go_on() : run.give_up(garble_);
  }

  // What the ledger says of the jobs that the cursor has passed, up to the first that cannot have run so.
  std::vector<wire::PlainRun> believed() {
    std::vector<wire::PlainRun> runs;
    runs.reserve(seen_);
    const std::int64_t now = to_ns(Clock::now());
    for (std::int64_t since = started_ns_; runs.size() < seen_; since = runs.back().ended_ns) {
      const wire::PlainRun run = owner_.ledger_->entries[runs.size()].read();
      if (!wire::is_possible(run, since, now)) {
        garble_ = "its ledger has numbers that cannot be";
        break;
      }
      runs.push_back(run);
    }
    return runs;
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(jobs_.size()); }

  TaskProcess& owner_;
  const std::vector<SetMember>& jobs_;
  const SetHooks& hooks_;
  const std::int64_t started_ns_;
  std::uint32_t number_ = 0;
  std::uint32_t seen_ = 0;  // the job that ran when the ledger was last looked at
  bool is_begun_ = false;
  bool is_disturbed_ = false;  // something has come that belongs to the job that runs
  std::string garble_;
};

// A frame holds the jobs of a set: the sub-worker sees to that.
Execution TaskProcess::run_set(const std::vector<SetMember>& jobs, const SetHooks& hooks) {
  return Set(*this, jobs, hooks).go();
}

// Not that of a former set, so that what was left over from it cannot be taken for the new one.
std::uint32_t TaskProcess::next_set() const {
  const wire::Cursor cursor = wire::to_cursor(ledger_->cursor.load());
  return cursor.set < wire::kHighestSet ? cursor.set + 1 : 1;
}

}  // namespace postpone::subworker

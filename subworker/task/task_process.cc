#include "subworker/task/task_process.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "subworker/task/polling.h"
#include "subworker/task/task_start.h"
#include "sys/cgroup.h"
#include "sys/crash_point.h"
#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::Frame;
namespace wire = libtask::wire;

constexpr long kFewestDescriptors = 8;  // free ones, without which a job can hardly do anything
constexpr int kMostDeadChildren = 32;   // each costs a look after each job
constexpr auto kBurialLimit = 5s;
constexpr auto kSweepLimit = 1s;   // with what a job has left behind
constexpr auto kOomInterval = 1s;  // a look costs as much as a short job

// Once, not for each task process.
void warn_of_closed_eyes(const std::string& user) {
  static bool said = false;
  if (!std::exchange(said, true))
    sys::log.warn(
        "no look at the descriptors of task processes of user {}: one whose standard descriptors a job has "
        "changed, or that has none left to open, is not replaced",
        user);
}

}  // namespace

TaskProcess::TaskProcess(const config::Group& group, std::string cgroup, const board::Ledger& ledger,
                         Output::Sink sink)
    : group_(group), cgroup_(std::move(cgroup)), pipes_(std::move(sink)), oom_(cgroup_), ledger_(ledger) {
  StartedTask started = start_task(group_, cgroup_, ledger.fd());
  process_ = std::move(started.process);
  channel_ = Channel(std::move(started.channel));
  pipes_.open(std::move(started.out), std::move(started.err));
  started_ = Clock::now();
}

TaskProcess::~TaskProcess() {
  if (alive()) kill_all();
}

// --- the greeting ---

void TaskProcess::greet(std::chrono::milliseconds limit, const std::function<void()>& waiting) {
  if (leftovers_) return;
  try {
    const auto frame = receive_hello(Clock::now() + limit, waiting);
    if (!frame)
      give_up(
          fmt::format("no hello within {} ms: is it linked with libtask, and does main() call App::run()?",
                      limit.count()));
    const auto* hello = std::get_if<wire::Hello>(&*frame);
    if (!hello) give_up("its first frame is no hello: is it linked with libtask?");
    accept(*hello);
  } catch (const wire::ProtocolError& error) {
    give_up(fmt::format("{}: is it linked with libtask?", error.what()));
  }
}

std::optional<Frame> TaskProcess::receive_hello(Clock::time_point deadline,
                                                const std::function<void()>& waiting) {
  for (;;) {
    if (auto frame = channel_.next()) return frame;
    if (Clock::now() >= deadline) return std::nullopt;
    pollfd fds[] = {{channel_.fd(), POLLIN, 0},
                    {pipes_.fd(Output::Stream::out), POLLIN, 0},
                    {pipes_.fd(Output::Stream::err), POLLIN, 0}};
    ::poll(fds, std::size(fds),
           to_poll_timeout(std::min<Clock::duration>(kPollTick, deadline - Clock::now())));
    waiting();
    pipes_.drain();
    if (!channel_.read()) {
      if (auto frame = channel_.next()) return frame;
      const auto report = kill_all();
      throw BadTask(
          fmt::format("task executable {}: it ended ({}) before its hello; run it with --describe to see why",
                      group_.executable, sys::to_string(report)));
    }
  }
}

void TaskProcess::accept(const wire::Hello& hello) {
  if (!wire::is_served(hello.protocol_version)) {
    const std::string reason = fmt::format(
        "it was built with libtask {} (protocol {}), this sub-worker speaks protocol {}: build it again",
        hello.libtask_version, hello.protocol_version, wire::kProtocolVersion);
    send(wire::Refuse{reason});
    give_up(reason);
  }
  try {
    description_ = wire::parse_description(hello.description);
  } catch (const std::runtime_error& error) {
    send(wire::Refuse{error.what()});
    give_up(fmt::format("its description is unreadable: {}", error.what()));
  }
  channel_.set_version(hello.protocol_version);
  serves_sets_ = hello.protocol_version >= wire::kFirstVersionWithSets;
  // Before it may do anything in the name of a job.
  leftovers_.emplace(process_.pid());
  standard_descriptors_.emplace(process_.pid());
  if (!standard_descriptors_->may_look()) warn_of_closed_eyes(group_.user);
  send(wire::Welcome{});
}

void TaskProcess::give_up(const std::string& problem) {
  kill_all();
  throw BadTask(fmt::format("task executable {}: {}", group_.executable, problem));
}

// --- in between ---

void TaskProcess::send(const Frame& frame) {
  channel_.send(frame, [this] { pipes_.drain(); });
}

void TaskProcess::pass_on_output() {
  pipes_.pass_on();
}

// A job or a set is about to be sent. What was written since the job before belongs to none.
void TaskProcess::begin_output() {
  pipes_.log_dropped();
  pipes_.output().start(group_.max_output);
  look_at_oom();
}

// Not in the middle of a run: a process that the kernel has killed may take a while to be gone, and the kill
// must not count as an earlier one by then.
void TaskProcess::look_at_oom() {
  if (oom_.age() >= kOomInterval) oom_.look();
}

// --- the end ---

void TaskProcess::shut_down(std::chrono::milliseconds grace) {
  if (!alive()) return;
  channel_.end_sending();
  pollfd fd{process_.pidfd(), POLLIN, 0};
  ::poll(&fd, 1, to_poll_timeout(grace));
  kill_all();
}

// The group first, while its leader is not reaped and its number therefore not recycled; then whatever left
// the group and was handed to us, its subreaper. Nothing of the task process is left when this returns, or
// survived() says so.
sys::ExitReport TaskProcess::kill_all() {
  process_.signal_group(SIGKILL);
  if (!cgroup_.empty()) sys::kill_cgroup(cgroup_);
  sys::crash_point("sub_worker.task_killed");
  const sys::ExitReport report = process_.reap();
  const auto orphans = sys::kill_orphans({}, kBurialLimit);
  for (pid_t left : orphans.left) sys::log.error("process {} of a task does not die", left);
  damage_.survived |= !orphans.left.empty();
  pass_on_output();
  channel_.close();
  return report;
}

// What a job forked away may hang below the task process (which did not wait for it) or be a child of ours by
// now (its parent has ended); what becomes one of the two later is found while idle, at the next job's end,
// and when the task process ends.
//
// A look that cannot be taken (no descriptor is left) proves nothing, so something may live.
bool TaskProcess::kill_leftovers() {
  if (!alive() || !leftovers_) return !damage_.survived;
  try {
    const auto sweep = leftovers_->sweep(kSweepLimit);
    if (sweep.killed > 0) sys::log.warn("killed {} process(es) that a job had left behind", sweep.killed);
    // What is never caught one by one goes with its whole cgroup.
    if (!sweep.left.empty()) {
      sys::log.warn("task process {} is replaced: {} process(es) that a job had left behind cannot be caught",
                    process_.pid(), sweep.left.size());
      kill_all();
    }
    damage_.dead_children = sweep.dead;
  } catch (const std::system_error& error) {
    sys::log.error("cannot see what a job has left behind: {}", error.what());
    damage_.survived = true;
  }
  return !damage_.survived;
}

// --- its state between two jobs ---

// The sub-worker looks from outside, because a handler may have broken what its own process would look with.
// The expensive looks come only after a failed job, since the next job could fail for the same reason.
void TaskProcess::look_for_damage(bool failed) {
  if (!alive() || !damage_.sound) return;
  if (const std::string change = standard_descriptors_->change(); !change.empty())
    return damaged("the job has changed standard descriptors: " + change);
  if (damage_.dead_children > kMostDeadChildren)
    return damaged(fmt::format("it has {} dead children that it does not wait for", damage_.dead_children));
  if (!failed) return;
  const auto left = sys::free_descriptors(process_.pid());
  if (left && *left < kFewestDescriptors)
    damaged(fmt::format("it has {} descriptors left to open (RLIMIT_NOFILE): its jobs leave some open",
                        std::max(*left, 0L)));
}

void TaskProcess::damaged(const std::string& how) {
  damage_.sound = false;
  sys::log.warn("task process {} is replaced before the next job: {}", process_.pid(), how);
}

bool TaskProcess::is_sound() {
  if (!alive() || !damage_.sound) return false;
  pollfd fds[] = {{process_.pidfd(), POLLIN, 0}, {channel_.fd(), POLLIN, 0}};
  if (::poll(fds, std::size(fds), 0) == 0 && channel_.pending() == 0) return true;
  if (fds[0].revents != 0) return false;
  try {
    if (!channel_.read()) return damage_.sound = false;  // it is about to end
    while (const auto frame = channel_.next())
      if (!std::holds_alternative<wire::Progress>(*frame) && !std::holds_alternative<wire::Stack>(*frame))
        throw wire::ProtocolError("a frame out of turn");
    if (channel_.pending() > 0) throw wire::ProtocolError("a piece of a frame");
  } catch (const wire::ProtocolError& error) {
    const sys::OutsideLogContext between_jobs;
    damaged(fmt::format("what came over its channel after the result of a job: {}", error.what()));
  }
  return damage_.sound;
}

bool TaskProcess::has_ended() const {
  pollfd fd{process_.pidfd(), POLLIN, 0};
  return ::poll(&fd, 1, 0) > 0;
}

std::chrono::milliseconds TaskProcess::age() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_);
}

}  // namespace postpone::subworker

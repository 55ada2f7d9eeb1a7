#include "subworker/task/task_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "subworker/task/job_look.h"
#include "subworker/task/task_environment.h"
#include "sys/cgroup.h"
#include "sys/crash_point.h"
#include "sys/log.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::Frame;
namespace wire = libtask::wire;

constexpr auto kTick = 50ms;
constexpr auto kFirstTick =
    10ms;  // so that a connection that others wait for is given up early in a long job
constexpr std::size_t kReadBytes = 64UL * 1024;
// What is read of a pipe at once, and for how long between two looks at everything else. Bytes are no measure
// of the work that they make: 4 KiB may be 4096 lines.
constexpr std::size_t kPieceBytes = 4096;
constexpr auto kDrainTime = 10ms;
// Between two bytes of one frame. A process that swaps may be slow; one that has begun a frame and forgotten
// it never ends it.
constexpr auto kHalfFrameLimit = 10s;
constexpr long kFewestDescriptors = 8;  // free ones, without which a job can hardly do anything
constexpr int kMostDeadChildren = 32;   // each costs a look after each job
constexpr auto kBurialLimit = 5s;
constexpr auto kSweepLimit = 1s;   // with what a job has left behind
constexpr auto kOomInterval = 1s;  // a look costs as much as a short job
constexpr auto kDyingTime = 2s;    // between the end of its channel and the end of a process: exit handlers

int to_poll_timeout(TaskProcess::Clock::duration wait) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000));
}

}  // namespace

TaskProcess::TaskProcess(const config::Group& group, std::string cgroup, Output::Sink sink)
    : group_(group), cgroup_(std::move(cgroup)), output_(std::move(sink)), oom_(cgroup_) {
  spawn();
}

TaskProcess::~TaskProcess() {
  if (alive()) kill_all();
}

void TaskProcess::spawn() {
  sys::FdPair channel = sys::make_socketpair(SOCK_STREAM);
  sys::FdPair out = sys::make_pipe();
  sys::FdPair err = sys::make_pipe();
  const sys::Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) sys::throw_errno("cannot open /dev/null, for the task process to read nothing from");
  sys::ProcessSpec spec;
  spec.executable = group_.executable;
  spec.arguments = group_.arguments;
  spec.environment = task_environment(group_);
  spec.environment.emplace_back(wire::kChannelVariable, std::to_string(wire::kChannelFd));
  spec.descriptors = {{nothing.get(), STDIN_FILENO},
                      {out.second.get(), STDOUT_FILENO},
                      {err.second.get(), STDERR_FILENO},
                      {channel.second.get(), wire::kChannelFd}};
  spec.own_process_group = true;
  spec.parent_death_signal = SIGKILL;
  // A job may be repeated; a sub-worker, and the server beside it, should live.
  spec.oom_score_adj = std::min(std::max(500, sys::oom_score_adj() + 100), sys::kHighestOomScoreAdj);
  spec.cgroup = cgroup_;
  spec.user = task_user(group_);
  process_ = sys::Process::spawn(spec);
  channel_ = std::move(channel.first);
  pipes_[0] = std::move(out.first);
  pipes_[1] = std::move(err.first);
  for (int fd : {channel_.get(), pipes_[0].get(), pipes_[1].get()}) sys::set_nonblocking(fd);
  started_ = Clock::now();
  sys::crash_point("sub_worker.task_spawned");
}

// --- the greeting ---

void TaskProcess::greet(std::chrono::milliseconds limit, const std::function<void()>& waiting) {
  if (greeted_) return;
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
    if (auto frame = decoder_.next()) return frame;
    if (Clock::now() >= deadline) return std::nullopt;
    pollfd fds[] = {{channel_.get(), POLLIN, 0}, {pipes_[0].get(), POLLIN, 0}, {pipes_[1].get(), POLLIN, 0}};
    ::poll(fds, std::size(fds), to_poll_timeout(std::min<Clock::duration>(kTick, deadline - Clock::now())));
    waiting();
    drain_output();
    if (!read_channel()) {
      if (auto frame = decoder_.next()) return frame;
      const auto report = kill_all();
      throw BadTask(
          fmt::format("task executable {}: it ended ({}) before its hello; run it with --describe to see why",
                      group_.executable, sys::to_string(report)));
    }
  }
}

void TaskProcess::accept(const wire::Hello& hello) {
  if (hello.protocol_version != wire::kProtocolVersion) {
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
  // Before it may do anything in the name of a job.
  leftovers_.emplace(process_.pid());
  standard_descriptors_.emplace(process_.pid());
  send(wire::Welcome{});
  greeted_ = true;
}

void TaskProcess::give_up(const std::string& problem) {
  kill_all();
  throw BadTask(fmt::format("task executable {}: {}", group_.executable, problem));
}

// --- reading and writing ---

// False at the end of the channel. What was read stands in the decoder.
bool TaskProcess::read_channel() {
  char bytes[kReadBytes];
  for (;;) {
    const ssize_t n = ::read(channel_.get(), bytes, sizeof bytes);
    if (n > 0) decoder_.append({bytes, static_cast<std::size_t>(n)});
    if (n == 0 || (n < 0 && errno == ECONNRESET)) return false;
    if (n < 0 && errno == EINTR) continue;
    if (n < static_cast<ssize_t>(sizeof bytes)) return true;
  }
}

// Reads what a pipe holds, at most `most` bytes, and for no longer than `until` by much. Returns how much.
std::size_t TaskProcess::drain(Output::Stream stream, std::size_t most, Clock::time_point until) {
  sys::Fd& pipe = pipes_[static_cast<std::size_t>(stream)];
  char bytes[kPieceBytes];
  std::size_t total = 0;
  while (pipe && total < most) {
    const ssize_t n = ::read(pipe.get(), bytes, std::min(sizeof bytes, most - total));
    if (n == 0) pipe.reset();
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output_.append(stream, {bytes, static_cast<std::size_t>(n)});
    total += static_cast<std::size_t>(n);
    if (static_cast<std::size_t>(n) < sizeof bytes || Clock::now() >= until) break;
  }
  return total;
}

void TaskProcess::pass_on_output() {
  drain_what_is_there({});
  output_.finish();
}

void TaskProcess::drain_output() {
  for (const auto stream : {Output::Stream::out, Output::Stream::err})
    drain(stream, std::numeric_limits<std::size_t>::max(), Clock::now() + kDrainTime);
}

// What the pipes hold at this moment, and no more: a helper or a thread that writes on does not hold us up.
void TaskProcess::drain_what_is_there(const std::function<void()>& waiting) {
  for (const auto stream : {Output::Stream::out, Output::Stream::err}) {
    const sys::Fd& pipe = pipes_[static_cast<std::size_t>(stream)];
    int bytes = 0;
    if (!pipe || ::ioctl(pipe.get(), FIONREAD, &bytes) != 0) continue;
    for (auto left = static_cast<std::size_t>(bytes); left > 0;) {
      const std::size_t got = drain(stream, left, Clock::now() + kDrainTime);
      if (got == 0) break;
      left -= got;
      if (left > 0 && waiting) waiting();
    }
  }
}

void TaskProcess::tell_dropped_output() {
  if (output_.dropped_bytes() > 0)
    spdlog::warn("{} bytes of output are not logged: they are beyond max_output", output_.dropped_bytes());
}

// A task process that does not read its channel is found out by its deadline; here a full channel only means
// that the frame is late, so it is sent blocking in small steps. One that has gone is noticed by whoever
// reads next.
void TaskProcess::send(const Frame& frame) {
  const std::string bytes = wire::encode(frame);
  std::string_view rest = bytes;
  const auto deadline = Clock::now() + kBurialLimit;
  while (!rest.empty()) {
    const ssize_t n = ::send(channel_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n > 0) {
      rest.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return;
    if (Clock::now() > deadline) throw wire::ProtocolError("it does not read its channel");
    pollfd fd{channel_.get(), POLLOUT, 0};
    ::poll(&fd, 1, to_poll_timeout(kTick));
    drain_output();
  }
}

// Not in the middle of a run: a process that the kernel has killed may take a while to be gone, and the kill
// must not count as an earlier one by then.
void TaskProcess::look_at_oom() {
  if (Clock::now() - oom_looked_at_ < kOomInterval) return;
  oom_looked_at_ = Clock::now();
  oom_.look();
}

// --- a run ---

// One job on its way through the task process: the poll loop and what it keeps.
class TaskProcess::Run {
 public:
  Run(TaskProcess& owner, const sql::Job& job, std::chrono::milliseconds time_limit, const RunHooks& hooks)
      : owner_(owner),
        job_(job),
        time_limit_(time_limit),
        hooks_(hooks),
        started_(Clock::now()),
        look_(owner.process_, owner.description_.stack_signal, job.id, owner.group_.slow_after) {}

  Execution go() {
    try {
      start();
      while (!end_) step();
    } catch (const std::length_error& error) {
      end_ = Returned{too_large(error.what())};
    } catch (const wire::ProtocolError& error) {
      owner_.kill_all();
      end_ = Garbled{error.what()};
    }
    return report();
  }

 private:
  void start() {
    owner_.tell_dropped_output();  // of the time since the job before
    owner_.output_.start(owner_.group_.max_output);
    owner_.look_at_oom();
    wire::Run run;
    run.job_id = job_.id;
    run.attempt = sql::next_attempt(job_.attempts);
    run.task = job_.task;
    run.queue = job_.queue;
    run.priority = job_.priority;
    run.lock = job_.lock.value_or("");
    run.args = job_.args;
    run.time_limit_ms = time_limit_.count();
    owner_.send(run);
    sys::crash_point("sub_worker.job_sent");
  }

  // The job does not fit into a frame. Nothing was sent, and nothing will be at a second try.
  wire::Result too_large(const std::string& why) const {
    wire::Result result;
    result.job_id = job_.id;
    result.status = wire::ResultStatus::bad_arguments;
    result.message = fmt::format("the arguments are too large ({} bytes): {}", job_.args.size(), why);
    return result;
  }

  void step() {
    wait();
    const auto elapsed = Clock::now() - started_;
    // The channel before the pipes: what a handler wrote before its result is in the pipes when the result is
    // here.
    const bool open = owner_.read_channel();
    while (!end_) {
      auto frame = owner_.decoder_.next();
      if (!frame) break;
      take(*frame);
    }
    owner_.drain_output();
    if (end_) return;
    if (!open) return died();
    expect_whole_frames();
    if (owner_.output_.cost() > owner_.group_.max_output) return flooded();
    if (Clock::now() >= next_weighing_) weigh();
    if (end_) return;
    watch(elapsed);
  }

  // The rest of a frame that is begun has to come: what a handler has written into the channel by itself
  // would else hide the result for ever.
  void expect_whole_frames() {
    const std::size_t pending = owner_.decoder_.pending();
    if (pending != half_frame_) half_frame_since_ = Clock::now();
    half_frame_ = pending;
    if (pending > 0 && Clock::now() - half_frame_since_ > kHalfFrameLimit)
      throw wire::ProtocolError(fmt::format("it has begun a frame, and for {} s no more of it came",
                                            std::chrono::seconds(kHalfFrameLimit).count()));
  }

  void wait() {
    const auto elapsed = Clock::now() - started_;
    const auto tick = elapsed < kFirstTick ? kFirstTick : kTick;
    pollfd fds[] = {{owner_.channel_.get(), POLLIN, 0},
                    {owner_.pipes_[0] ? owner_.pipes_[0].get() : -1, POLLIN, 0},
                    {owner_.pipes_[1] ? owner_.pipes_[1].get() : -1, POLLIN, 0},
                    {owner_.process_.pidfd(), POLLIN, 0}};
    ::poll(fds, std::size(fds), to_poll_timeout(tick));
    if (fds[3].revents != 0) process_ended_ = true;
  }

  void take(const Frame& frame) {
    if (const auto* progress = std::get_if<wire::Progress>(&frame)) {
      if (progress->job_id == job_.id && hooks_.on_progress)
        hooks_.on_progress(progress->done, progress->total);
      return;
    }
    if (const auto* stack = std::get_if<wire::Stack>(&frame))
      return look_.answered(*stack, Clock::now() - started_);
    const auto* result = std::get_if<wire::Result>(&frame);
    if (!result) throw wire::ProtocolError("a frame that only a sub-worker sends");
    if (result->job_id != job_.id)
      throw wire::ProtocolError(
          fmt::format("a result for job {} while job {} runs", result->job_id, job_.id));
    end_ = Returned{*result};
    sys::crash_point("sub_worker.result_received");
  }

  // Asks the owner of the sub-worker, keeps the time limit, and carries out the stop.
  void watch(std::chrono::nanoseconds elapsed) {
    if (process_ended_) return died();  // it is gone, though something it forked holds the channel open
    if (const auto stop = hooks_.on_tick(elapsed)) {
      tell_to_stop(stop->reason);
      if (stop->now) kill_at_ = Clock::now();
    }
    look_.tick(elapsed);
    const auto run_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed);
    if (time_limit_.count() > 0 && run_ms > time_limit_) tell_to_stop(StopReason::time_limit);
    if (!stop_ || Clock::now() < kill_at_ || killed_) return;
    killed_ = true;
    owner_.process_.signal_group(SIGKILL);
  }

  void tell_to_stop(StopReason reason) {
    if (stop_) return;
    stop_ = reason;
    kill_at_ = Clock::now() + owner_.group_.abort_grace;
    using Reason = wire::Abort::Reason;
    const Reason said = reason == StopReason::requested    ? Reason::requested
                        : reason == StopReason::time_limit ? Reason::time_limit
                                                           : Reason::shutdown;
    owner_.send(wire::Abort{job_.id, said});
    owner_.process_.signal_group(SIGTERM);
  }

  // The channel has ended or the process has. A task that closed its channel and lives on is as good as
  // garbled.
  void died() {
    pollfd fd{owner_.process_.pidfd(), POLLIN, 0};
    const bool ended = process_ended_ || ::poll(&fd, 1, to_poll_timeout(kDyingTime)) > 0;
    const auto report = owner_.kill_all();
    if (!ended) {
      end_ = Garbled{"it closed its channel and lived on"};
      return;
    }
    cpu_of_dead_ = report.cpu_time;
    rss_of_dead_ = report.max_rss_bytes;
    const bool killed = report.signalled && report.code == SIGKILL;
    end_ = Died{report, killed ? owner_.oom_.verdict() : sys::OomWitness::Verdict::no};
  }

  // Everything that the task has started is a descendant of ours.
  void weigh() {
    next_weighing_ = Clock::now() + kTick;
    const auto limit = owner_.group_.memory_limit;
    if (limit == 0) return;
    const auto bytes = sys::resident_bytes_of_descendants(::getpid());
    // Twice in a row: between its fork and its exec a child seems to weigh as much as its parent.
    const bool too_heavy_before = std::exchange(too_heavy_, bytes > limit);
    if (!too_heavy_ || !too_heavy_before) return;
    const auto report = owner_.kill_all();
    cpu_of_dead_ = report.cpu_time;
    rss_of_dead_ = std::max(report.max_rss_bytes, bytes);
    end_ = Outgrown{bytes, limit};
  }

  void flooded() {
    owner_.kill_all();
    end_ = Flooded{owner_.group_.max_output};
  }

  Execution report() {
    const auto run_time = Clock::now() - started_;
    // Its result and our SIGKILL have crossed: the process is as good as dead, and serves no other job.
    if (killed_ && owner_.alive()) owner_.kill_all();
    // What it had started has said its last words in the name of this job, and none in that of the next.
    owner_.kill_leftovers();
    owner_.drain_what_is_there([this] { hooks_.on_tick(Clock::now() - started_); });
    owner_.output_.finish();
    if (!std::holds_alternative<Flooded>(*end_)) owner_.tell_dropped_output();
    ++owner_.jobs_served_;
    Execution execution;
    execution.stop = stop_;
    execution.run_time = run_time;
    execution.cpu_time = cpu_of_dead_;
    execution.max_rss_bytes = rss_of_dead_;
    if (const auto* returned = std::get_if<Returned>(&*end_)) {
      execution.cpu_time = std::chrono::microseconds(returned->result.cpu_us);
      execution.max_rss_bytes = static_cast<std::int64_t>(returned->result.max_rss_bytes);
      owner_.look_for_damage(returned->result.status == wire::ResultStatus::exception);
    }
    execution.stderr_tail = owner_.output_.stderr_tail();
    owner_.output_.start(owner_.group_.max_output);  // for what is said until the next job
    execution.end = std::move(*end_);
    return execution;
  }

  using End = decltype(Execution::end);

  TaskProcess& owner_;
  const sql::Job& job_;
  const std::chrono::milliseconds time_limit_;
  const RunHooks& hooks_;
  const Clock::time_point started_;
  JobLook look_;
  std::optional<End> end_;
  std::optional<StopReason> stop_;
  Clock::time_point kill_at_;
  bool killed_ = false;
  bool process_ended_ = false;
  Clock::time_point next_weighing_;
  bool too_heavy_ = false;      // at the last weighing
  std::size_t half_frame_ = 0;  // bytes of it
  Clock::time_point half_frame_since_;
  std::chrono::microseconds cpu_of_dead_{0};
  std::int64_t rss_of_dead_ = 0;
};

Execution TaskProcess::run(const sql::Job& job, std::chrono::milliseconds time_limit, const RunHooks& hooks) {
  return Run(*this, job, time_limit, hooks).go();
}

// --- the end ---

void TaskProcess::shut_down(std::chrono::milliseconds grace) {
  if (!alive()) return;
  ::shutdown(channel_.get(), SHUT_WR);
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
  for (pid_t left : orphans.left) spdlog::error("process {} of a task does not die", left);
  survived_ |= !orphans.left.empty();
  pass_on_output();
  channel_.reset();
  return report;
}

// What a job forked away may hang below the task process (which did not wait for it) or be a child of ours by
// now (its parent has ended); what becomes one of the two later is found while idle, at the next job's end,
// and when the task process ends.
//
// A look that cannot be taken (no descriptor is left) proves nothing, so something may live.
bool TaskProcess::kill_leftovers() {
  if (!alive() || !leftovers_) return !survived_;
  try {
    const auto sweep = leftovers_->sweep(kSweepLimit);
    if (sweep.killed > 0) spdlog::warn("killed {} process(es) that a job had left behind", sweep.killed);
    // What is never caught one by one goes with its whole cgroup.
    if (!sweep.left.empty()) kill_all();
    dead_children_ = sweep.dead;
  } catch (const std::system_error& error) {
    spdlog::error("cannot see what a job has left behind: {}", error.what());
    survived_ = true;
  }
  return !survived_;
}

// --- its state between two jobs ---

// Looked at from here, where a handler that has broken its own process does not reach. What costs more than a
// moment is looked at when a job has failed: the next one may fail of the same.
void TaskProcess::look_for_damage(bool failed) {
  if (!alive() || !sound_) return;
  if (const std::string change = standard_descriptors_->change(); !change.empty())
    return damaged("the job has changed standard descriptors: " + change);
  if (dead_children_ > kMostDeadChildren)
    return damaged(fmt::format("it has {} dead children that it does not wait for", dead_children_));
  if (!failed) return;
  const auto left = sys::free_descriptors(process_.pid());
  if (left && *left < kFewestDescriptors)
    damaged(fmt::format("it has {} descriptors left to open (RLIMIT_NOFILE): its jobs leave some open",
                        std::max(*left, 0L)));
}

void TaskProcess::damaged(const std::string& how) {
  sound_ = false;
  spdlog::warn("task process {} is replaced before the next job: {}", process_.pid(), how);
}

bool TaskProcess::is_sound() {
  if (!alive() || !sound_) return false;
  pollfd fds[] = {{process_.pidfd(), POLLIN, 0}, {channel_.get(), POLLIN, 0}};
  if (::poll(fds, std::size(fds), 0) == 0 && decoder_.pending() == 0) return true;
  if (fds[0].revents != 0) return false;
  try {
    if (!read_channel()) return sound_ = false;  // it is about to end
    while (const auto frame = decoder_.next())
      if (!std::holds_alternative<wire::Progress>(*frame) && !std::holds_alternative<wire::Stack>(*frame))
        throw wire::ProtocolError("a frame out of turn");
    if (decoder_.pending() > 0) throw wire::ProtocolError("a piece of a frame");
  } catch (const wire::ProtocolError& error) {
    const sys::OutsideLogContext between_jobs;
    damaged(fmt::format("what came over its channel after the result of a job: {}", error.what()));
  }
  return sound_;
}

bool TaskProcess::has_ended() const {
  pollfd fd{process_.pidfd(), POLLIN, 0};
  return ::poll(&fd, 1, 0) > 0;
}

std::chrono::milliseconds TaskProcess::age() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_);
}

}  // namespace postpone::subworker

// What is sent, waited for, read and measured of a run, and how it ends.
#include "subworker/task/task_run.h"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "subworker/task/job_log.h"
#include "subworker/task/polling.h"
#include "sys/crash_point.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;
using libtask::wire::Frame;
namespace wire = libtask::wire;

// So that a connection that others wait for is given up early in a long job.
constexpr auto kFirstTick = 10ms;
// From one look at the board to the next: a person who aborts a job waits for half of it on average.
constexpr auto kRunTick = 20ms;
// Between the end of its channel and the end of a process: exit handlers.
constexpr auto kDyingTime = 2s;

}  // namespace

TaskProcess::Run::Run(TaskProcess& owner, const sql::Job& job, std::chrono::milliseconds time_limit,
                      const RunHooks& hooks, Clock::time_point started)
    : owner_(owner),
      job_(job),
      time_limit_(time_limit),
      hooks_(hooks),
      started_(started),
      look_(owner.process_, owner.description_.stack_signal, job.id, owner.group_.slow_after) {}

template <class Step>
void TaskProcess::Run::guarded(Step step) {
  try {
    step();
  } catch (const std::length_error& error) {
    end_ =
        Oversized{fmt::format("the arguments are too large ({} bytes): {}", job_.args.size(), error.what())};
  } catch (const wire::ProtocolError& error) {
    owner_.kill_all();
    end_ = Garbled{error.what()};
  }
}

Execution TaskProcess::Run::go() {
  owner_.begin_output();
  guarded([this] { start(); });
  return go_to_its_end();
}

// It is by itself for a reason, which is looked for at once.
Execution TaskProcess::Run::go_on() {
  guarded([this] { look(); });
  return go_to_its_end();
}

Execution TaskProcess::Run::give_up(const std::string& garble) {
  guarded([&] { throw wire::ProtocolError(garble); });
  return go_to_its_end();
}

Execution TaskProcess::Run::go_to_its_end() {
  while (!end_) {
    guarded([this] {
      wait();
      look();
    });
  }
  return report();
}

bool TaskProcess::Run::attend() {
  if (!end_) guarded([this] { look(); });
  return !end_;
}

void TaskProcess::Run::start() {
  owner_.send(owner_.to_frame(job_, time_limit_));
  sys::crash_point("sub_worker.job_sent");
}

void TaskProcess::Run::look() {
  const auto elapsed = Clock::now() - started_;
  // The channel before the pipes: what a handler wrote before its result is in the pipes when the result is
  // here.
  const bool open = owner_.channel_.read();
  while (!end_) {
    auto frame = owner_.channel_.next();
    if (!frame) break;
    take(*frame);
  }
  owner_.pipes_.drain();
  if (end_) return;
  if (!open) return died();
  owner_.channel_.expect_whole_frames(Clock::now());
  if (owner_.pipes_.output().cost() > owner_.group_.max_output) return flooded();
  if (Clock::now() >= next_weighing_) weigh();
  if (end_) return;
  watch(elapsed);
}

void TaskProcess::Run::wait() {
  const auto elapsed = Clock::now() - started_;
  Clock::duration tick = elapsed < kFirstTick ? kFirstTick : kRunTick;
  for (const auto at : {hooks_.tick_at, memory_limit() > 0 ? next_weighing_ : Clock::time_point()})
    if (const auto left = at - Clock::now(); left > Clock::duration::zero()) tick = std::min(tick, left);
  pollfd fds[] = {{owner_.channel_.fd(), POLLIN, 0},
                  {owner_.pipes_.fd(Output::Stream::out), POLLIN, 0},
                  {owner_.pipes_.fd(Output::Stream::err), POLLIN, 0},
                  {owner_.process_.pidfd(), POLLIN, 0}};
  ::poll(fds, std::size(fds), to_poll_timeout(tick));
  if (fds[3].revents != 0) process_ended_ = true;
}

void TaskProcess::Run::take(Frame& frame) {
  if (auto* progress = std::get_if<wire::Progress>(&frame)) {
    if (progress->job_id != job_.id) return;
    progress->note.resize(std::min(progress->note.size(), sql::kMaxNoteBytes));
    progress_ = sql::Progress{progress->done, progress->total, std::move(progress->note)};
    if (hooks_.on_progress) hooks_.on_progress(*progress_);
    return;
  }
  if (const auto* line = std::get_if<wire::Log>(&frame)) {
    if (line->job_id == job_.id && owner_.pipes_.output().count_line(logged_bytes(*line))) log_for_job(*line);
    return;
  }
  if (const auto* stack = std::get_if<wire::Stack>(&frame))
    return look_.answered(*stack, Clock::now() - started_);
  if (auto* value = std::get_if<wire::Value>(&frame)) {
    expect_own(value->job_id, "value");
    value_ = std::move(value->json);
    return sys::crash_point("sub_worker.value_received");
  }
  auto* result = std::get_if<wire::Result>(&frame);
  if (!result) throw wire::ProtocolError("a frame that only a sub-worker sends");
  expect_own(result->job_id, "result");
  end_ = Returned{std::move(*result)};
  sys::crash_point("sub_worker.result_received");
}

void TaskProcess::Run::expect_own(std::int64_t job_id, const char* what) const {
  if (job_id != job_.id)
    throw wire::ProtocolError(fmt::format("a {} for job {} while job {} runs", what, job_id, job_.id));
}

// Asks the sub-worker whether the run is to be stopped, keeps the time limit, and carries out the stop.
void TaskProcess::Run::watch(std::chrono::nanoseconds elapsed) {
  if (process_ended_) return died();  // it is gone, though something it forked holds the channel open
  const auto stop = hooks_.on_tick(elapsed);
  if (end_) return;  // while on_tick waited: see attend()
  if (stop) {
    ask_to_stop(stop->reason);
    if (stop->now) kill_at_ = Clock::now();
  }
  look_.tick(elapsed);
  const auto run_ms = std::chrono::duration_cast<std::chrono::milliseconds>(elapsed);
  if (time_limit_.count() > 0 && run_ms > time_limit_) ask_to_stop(StopReason::time_limit);
  if (!stop_ || Clock::now() < kill_at_ || killed_) return;
  killed_ = true;
  owner_.process_.signal_group(SIGKILL);
}

void TaskProcess::Run::ask_to_stop(StopReason reason) {
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
void TaskProcess::Run::died() {
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
void TaskProcess::Run::weigh() {
  next_weighing_ = Clock::now() + kPollTick;
  const auto limit = memory_limit();
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

std::int64_t TaskProcess::Run::memory_limit() const {
  const auto of_group = owner_.group_.memory_limit;
  if (hooks_.memory_limit == 0 || of_group == 0) return std::max(hooks_.memory_limit, of_group);
  return std::min(hooks_.memory_limit, of_group);
}

void TaskProcess::Run::flooded() {
  owner_.kill_all();
  end_ = Flooded{owner_.group_.max_output};
}

Execution TaskProcess::Run::report() {
  const auto run_time = Clock::now() - started_;
  // Its result and our SIGKILL have crossed: the process is as good as dead, and serves no other job.
  if (killed_ && owner_.alive()) owner_.kill_all();
  // What it had started has said its last words in the name of this job, and none in that of the next.
  owner_.kill_leftovers();
  owner_.pipes_.drain_what_is_there([this] { hooks_.on_tick(Clock::now() - started_); });
  owner_.pipes_.output().finish();
  if (!std::holds_alternative<Flooded>(*end_)) owner_.pipes_.log_dropped();
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
  execution.stderr_tail = owner_.pipes_.output().stderr_tail();
  owner_.pipes_.output().start(owner_.group_.max_output);  // for what is said until the next job
  execution.value = std::move(value_);
  execution.progress = std::move(progress_);
  execution.end = std::move(*end_);
  return execution;
}

wire::Run TaskProcess::to_frame(const sql::Job& job, std::chrono::milliseconds time_limit) const {
  wire::Run run;
  run.job_id = job.id;
  run.attempt = sql::next_attempt(job.attempts);
  run.task = job.task;
  run.queue = job.queue;
  run.priority = job.priority;
  run.lock = job.lock.value_or("");
  run.args = job.args;
  run.time_limit_ms = time_limit.count();
  run.meta = job.meta.value_or("");
  run.deferred_by = job.deferred_by;
  // It is past, or the job would not have been fetched; so the number fits.
  if (job.scheduled_at && job.scheduled_at->is_finite())
    run.scheduled_at_us = job.scheduled_at->seconds() * 1'000'000 + job.scheduled_at->microseconds();
  return run;
}

Execution TaskProcess::run(const sql::Job& job, std::chrono::milliseconds time_limit, const RunHooks& hooks) {
  Run run(*this, job, time_limit, hooks);
  const Attended attended(running_, run);
  return run.go();
}

bool TaskProcess::attend() {
  return running_ != nullptr && running_->attend();
}

}  // namespace postpone::subworker

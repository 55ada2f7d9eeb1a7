#include "subworker/worker/reporter.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "subworker/task/outcome.h"
#include "sys/process.h"
#include "sys/process_title.h"

namespace postpone::subworker {
namespace {

constexpr std::int64_t kWeighEveryNs = 1'000'000'000;

std::int64_t to_ns(sql::Seconds seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(seconds).count();
}

board::Ending board_ending_of(sql::Action action) {
  switch (action) {
    case sql::Action::succeed:
      return board::Ending::succeeded;
    case sql::Action::abort:
      return board::Ending::aborted;
    case sql::Action::retry:
    case sql::Action::release:
      return board::Ending::retried;
    case sql::Action::fail:
      break;
  }
  return board::Ending::failed;
}

}  // namespace

void Reporter::does(std::string_view activity) const {
  sys::set_process_title(fmt::format("sub-worker {}: {}", name_, activity));
}

void Reporter::task_started(pid_t pid) {
  task_ = {};
  task_.pid = pid;
  task_.started_ns = board::now_ns();
  telemetry_.task.write(task_);
}

void Reporter::task_ended() {
  task_ = {};
  telemetry_.task.write(task_);
}

// A task that the executable does not have any more keeps its counts.
void Reporter::task_has(const libtask::wire::Description& description) {
  for (std::uint32_t i = 0; i < telemetry_.tasks.in_use(); ++i) {
    board::Tally& tally = telemetry_.tasks.entries[i];
    if (description.find(std::string(tally.name.view())) == nullptr) tally.registered.store(0);
  }
  for (const auto& task : description.tasks) telemetry_.tasks.of(task.name).registered.store(1);
}

void Reporter::weigh_task(int jobs_served, bool idle) {
  const auto now = board::now_ns();
  if (now - task_.weighed_ns < kWeighEveryNs || task_.pid == 0) return;
  if (idle && task_.weighed_ns != 0 && task_.jobs_served == jobs_served) return;
  const sys::ProcessUse use = sys::use_of(static_cast<pid_t>(task_.pid));
  task_.jobs_served = jobs_served;
  task_.rss_bytes = use.resident_bytes;
  task_.cpu_ns = use.cpu_time.count();
  task_.weighed_ns = now;
  telemetry_.task.write(task_);
}

void Reporter::fetched(const sql::Job& job) {
  if (job.waited) telemetry_.queue_wait.observe(to_ns(*job.waited), board::kJobBounds);
}

void Reporter::job_started(const sql::Job& job, std::chrono::milliseconds time_limit) {
  does(fmt::format("running {} (job {})", job.task, job.id));
  board::RunningJob running;
  running.job_id = job.id;
  running.attempt = sql::next_attempt(job.attempts);
  running.started_ns = board::now_ns();
  running.time_limit_ns = std::chrono::nanoseconds(time_limit).count();
  running.task = board::Text<136>(job.task);
  running.queue = board::Text<136>(job.queue);
  if (job.lock) running.lock = board::Text<136>(*job.lock);
  telemetry_.job.write(running);
  tell_start(job);
}

void Reporter::set_started(std::size_t jobs) const {
  does(fmt::format("running {} jobs", jobs));
}

void Reporter::ran_plainly(const sql::Job& job, const sql::Outcome& outcome) {
  count_end(job, outcome);
  tell_start(job);
  tell_end(job, outcome);
}

bool Reporter::are_news_wanted() const {
  return header_.news_wanted.load(std::memory_order_relaxed) != 0;
}

void Reporter::tell_start(const sql::Job& job) const {
  if (!are_news_wanted()) return;
  board::News started;
  started.attempt = sql::next_attempt(job.attempts);
  news(started, job);
}

void Reporter::progressed(const sql::Job& job, const sql::Progress& progress) {
  telemetry_.progress.write(
      {job.id, progress.done, progress.total, board::now_ns(), board::Text<136>(progress.note)});
  does(fmt::format("running {} (job {}), {}/{}", job.task, job.id, progress.done, progress.total));
}

void Reporter::job_ended(const sql::Job& job, const sql::Outcome& outcome) {
  telemetry_.job.write({});
  count_end(job, outcome);
  tell_end(job, outcome);
}

void Reporter::count_end(const sql::Job& job, const sql::Outcome& outcome) {
  count(outcome);
  const board::Ending ending = board_ending_of(outcome.action);
  const std::int64_t run_ns = std::max<std::int64_t>(0, to_ns(outcome.run_time));
  if (ending == board::Ending::aborted) board::add(telemetry_.aborted);
  board::add(telemetry_.job_cpu_ns,
             static_cast<std::uint64_t>(std::max<std::int64_t>(0, to_ns(outcome.cpu_time))));
  telemetry_.run_time.observe(run_ns, board::kJobBounds);
  board::count(telemetry_.tasks.of(job.task), ending, run_ns);
  board::count(telemetry_.queues.of(job.queue), ending, run_ns);
  const bool interrupted = outcome.cause == sql::Cause::aborted;
  if (ending == board::Ending::succeeded || interrupted) return;
  board::FailedJob failed;
  failed.job_id = job.id;
  failed.attempt = outcome.attempt;
  failed.at_ns = board::now_ns();
  failed.ending = static_cast<std::int64_t>(ending);
  failed.cause = board::Text<24>(sql::to_string(outcome.cause));
  failed.task = board::Text<136>(job.task);
  failed.queue = board::Text<136>(job.queue);
  failed.message = board::Text<256>(explain(outcome));
  telemetry_.failures.push(failed);
}

void Reporter::tell_end(const sql::Job& job, const sql::Outcome& outcome) const {
  if (!are_news_wanted()) return;
  const board::Ending ending = board_ending_of(outcome.action);
  board::News ended;
  ended.attempt = outcome.attempt;
  ended.ended = 1;
  ended.ending = static_cast<std::int64_t>(ending);
  ended.run_ns = std::max<std::int64_t>(0, to_ns(outcome.run_time));
  ended.cause = board::Text<24>(sql::to_string(outcome.cause));
  news(ended, job);
}

void Reporter::count(const sql::Outcome& outcome) {
  if (outcome.action == sql::Action::succeed) ++counters_.succeeded;
  if (outcome.action == sql::Action::retry) ++counters_.retried;
  if (outcome.action == sql::Action::fail) ++counters_.failed;
  if (outcome.cause == sql::Cause::signalled || outcome.cause == sql::Cause::exited) ++counters_.crashed;
}

void Reporter::news(board::News news, const sql::Job& job) const {
  news.job_id = job.id;
  news.at_ns = board::now_ns();
  news.task = board::Text<72>(job.task);
  news.queue = board::Text<72>(job.queue);
  telemetry_.news.push(news);
}

void Reporter::woken(std::int64_t rung_ns, std::int64_t idle_since_ns) {
  if (rung_ns < idle_since_ns) return;  // rung before, while it still looked
  telemetry_.wake_up.observe(board::now_ns() - rung_ns, board::kWakeUpBounds);
}

}  // namespace postpone::subworker

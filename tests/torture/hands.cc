#include "tests/torture/hands.h"
#include "tests/support/signals.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>

namespace postpone::torture {
namespace {

constexpr const char* kSubWorker = "postpone: sub-worker";
constexpr const char* kHousekeeper = "postpone: housekeeper";
constexpr const char* kTask = POSTPONE_TORTURE_TASKS;

sys::Fd open_pidfd(pid_t pid) {
  return sys::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

// The job of "postpone: sub-worker t/1: running torture.sleep (job 12)".
std::optional<std::int64_t> job_of(const std::string& title) {
  const auto at = title.find("(job ");
  if (at == std::string::npos) return std::nullopt;
  return std::strtoll(title.c_str() + at + 5, nullptr, 10);
}

std::string ids(const char* status, int count) {
  return "(SELECT id FROM procrastinate_jobs WHERE status = '" + std::string(status) +
         "' ORDER BY random() LIMIT " + std::to_string(count) + ") AS chosen";
}

}  // namespace

void Hands::Victim::signal(int signal_number) const {
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal_number, nullptr, 0);
}

void Hands::carry_out(const Step& step) {
  if (try_to(step)) ++done_[step.deed];
}

// False when there was nobody to do it to.
bool Hands::try_to(const Step& step) {
  const bool to_server =
      step.deed == Deed::restart_server_fast || step.deed == Deed::restart_server_immediate;
  if (!to_server && !field_.family(step.family)) return false;
  switch (step.deed) {
    case Deed::kill_sub_worker:
      return kill_sub_worker(step);
    case Deed::kill_task:
      return kill_one(step, kTask);
    case Deed::kill_housekeeper:
      return kill_one(step, kHousekeeper);
    case Deed::kill_supervisor:
      return kill_supervisor(step);
    case Deed::kill_family:
      return kill_family(step);
    case Deed::stop_sub_worker:
      return stop_one(step, kSubWorker);
    case Deed::stop_task:
      return stop_one(step, kTask);
    case Deed::stop_housekeeper:
      return stop_one(step, kHousekeeper);
    case Deed::stop_supervisor:
      return stop_one(step, "postpone: supervisor");
    case Deed::stop_family:
      return stop_family(step);
    case Deed::pause_family:
      return pause_family(step);
    case Deed::drain_family:
      return drain_family(step);
    case Deed::terminate_backends:
      return change_rows(
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
          "WHERE application_name LIKE 'postpone %' AND random() < 0.15");
    case Deed::restart_server_fast:
      return restart_server(step, "fast");
    case Deed::restart_server_immediate:
      return restart_server(step, "immediate");
    case Deed::cancel_jobs:
      return change_rows("SELECT count(procrastinate_cancel_job_v1(id, false, false)) FROM " +
                         ids("todo", 3));
    case Deed::abort_jobs:
      return change_rows("SELECT count(procrastinate_cancel_job_v1(id, true, false)) FROM " +
                         ids("doing", 2));
    case Deed::delete_lease:
      return delete_lease(step);
  }
  return false;
}

// --- killing ---

bool Hands::kill_one(const Step& step, const std::string& title) {
  const auto pids = field_.family(step.family)->processes(title);
  if (pids.empty()) return false;
  tests::send_signal(pids[step.choice % pids.size()], SIGKILL);
  return true;
}

bool Hands::kill_sub_worker(const Step& step) {
  std::vector<std::pair<pid_t, std::string>> found;
  for (const auto& process : field_.family(step.family)->processes())
    if (process.second.starts_with(kSubWorker)) found.push_back(process);
  if (found.empty()) return false;
  const auto& [pid, title] = found[step.choice % found.size()];
  if (const auto job_id = job_of(title)) killed_runs_.push_back({*job_id, boottime_ns()});
  tests::send_signal(pid, SIGKILL);
  return true;
}

bool Hands::kill_supervisor(const Step& step) {
  field_.family(step.family)->signal(SIGKILL);
  field_.dismiss(step.family);
  absent_.push_back({Clock::now() + step.lasts, step.family});
  return true;
}

bool Hands::kill_family(const Step& step) {
  field_.family(step.family)->kill_all();
  field_.dismiss(step.family);
  absent_.push_back({Clock::now() + step.lasts, step.family});
  return true;
}

// The new one is started while the old one still drains, as in a rolling restart.
bool Hands::drain_family(const Step& step) {
  field_.family(step.family)->signal(SIGTERM);
  field_.dismiss(step.family);
  field_.start(step.family);
  return true;
}

// --- stopping ---

bool Hands::stop_one(const Step& step, const std::string& title) {
  const auto pids = field_.family(step.family)->processes(title);
  if (pids.empty()) return false;
  const pid_t pid = pids[step.choice % pids.size()];
  Stopped& stopped = stopped_.emplace_back();
  stopped.until = Clock::now() + step.lasts;
  stopped.victims.push_back({pid, open_pidfd(pid)});
  stopped.victims.front().signal(SIGSTOP);
  return true;
}

// Again until twice no new one shows up: one may have been about to start another, and to end, during a look.
bool Hands::stop_family(const Step& step) {
  Stopped& stopped = stopped_.emplace_back();
  std::set<pid_t> known;
  for (int looks_without_new = 0; looks_without_new < 2; ++looks_without_new) {
    for (const auto& [pid, title] : field_.family(step.family)->processes()) {
      if (!known.insert(pid).second) continue;
      stopped.victims.push_back({pid, open_pidfd(pid)});
      stopped.victims.back().signal(SIGSTOP);
      looks_without_new = -1;
    }
  }
  stopped.until = Clock::now() + step.lasts;
  return true;
}

bool Hands::pause_family(const Step& step) {
  const pid_t pid = field_.family(step.family)->pid();
  Stopped& stopped = stopped_.emplace_back();
  stopped.until = Clock::now() + step.lasts;
  stopped.victims.push_back({pid, open_pidfd(pid)});
  stopped.victims.front().signal(SIGTSTP);  // which supervisors take as a word and not as a stop
  return true;
}

// --- the database ---

bool Hands::restart_server(const Step& step, const char* mode) {
  if (!field_.server_runs()) return false;
  field_.stop_server(mode);
  server_back_at_ = Clock::now() + step.lasts;
  return true;
}

bool Hands::change_rows(const std::string& sql) {
  if (!field_.server_runs()) return false;
  try {
    const std::string count = database_.value(sql);
    return count != "0";
  } catch (const SqlFailed&) {  // a lock, a deadlock: somebody was in the way
    return false;
  }
}

// As somebody who cleans up by hand would. A job that ran under the lease stays in `doing`, with nobody to
// finish it; by the promise its task is dead when the lease could have been taken for silent.
bool Hands::delete_lease(const Step& step) {
  if (!field_.server_runs()) return false;
  try {
    const auto leases = database_.rows("SELECT id FROM procrastinate_workers ORDER BY id");
    if (leases.empty()) return false;
    const std::string lease = leases[step.choice % leases.size()].front();
    database_.rows("BEGIN");
    database_.rows("SELECT FROM procrastinate_workers WHERE id = " + lease + " FOR UPDATE");
    const auto jobs = database_.rows(
        "SELECT id, attempts FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = " + lease +
        " OR status = 'todo' AND id IN (SELECT job_id FROM postpone_claims WHERE worker_id = " + lease + ")");
    database_.rows("DELETE FROM procrastinate_workers WHERE id = " + lease);
    database_.rows("COMMIT");
    for (const Row& job : jobs) orphaned_.push_back({Clock::now() + kStalledAfter, std::stoll(job[0])});
    return true;
  } catch (const SqlFailed&) {
    return false;
  }
}

void Hands::rescue_orphaned() {
  if (!field_.server_runs()) return;
  std::erase_if(orphaned_, [this](const Orphaned& orphan) {
    if (Clock::now() < orphan.rescue_at) return false;
    try {
      rescue(orphan.job_id);
      return true;
    } catch (const SqlFailed&) {
      return false;
    }
  });
}

// What `postpone stalled rescue` and `postpone jobs finish` do: both refuse a job that has a worker again.
void Hands::rescue(std::int64_t job_id) {
  const std::string id = std::to_string(job_id);
  const std::string silence = std::to_string(std::chrono::duration<double>(kStalledAfter).count());
  database_.rows(job_id % 2 == 0
                     ? "SELECT postpone_rescue_job(" + id + ", 'retry', NULL, " + silence +
                           ", 'rescued by hand')"
                     : "SELECT postpone_finish_by_hand(" + id + ", 'failed', " + silence + ", false)");
}

// --- undoing ---

void Hands::tick() {
  const auto now = Clock::now();
  std::erase_if(stopped_, [&](const Stopped& stopped) {
    if (now < stopped.until) return false;
    for (const Victim& victim : stopped.victims) victim.signal(SIGCONT);
    return true;
  });
  std::erase_if(absent_, [&](const Absent& absent) {
    if (now < absent.until) return false;
    field_.start(absent.family);
    return true;
  });
  if (!field_.server_runs() && now >= server_back_at_) field_.start_server();
  rescue_orphaned();
}

void Hands::undo_all() {
  const auto now = Clock::now();
  for (Stopped& stopped : stopped_) stopped.until = now;
  for (Absent& absent : absent_) absent.until = now;
  server_back_at_ = now;
  tick();
}

}  // namespace postpone::torture

// The task process of a sub-worker: started, greeted, given one job after the other, stopped and buried.
//
//   (constructor) ──▶ greet() ──▶ run() … run_set() … ──▶ shut_down()
//                       │           └─ crash, garble, flood, stop: all killed and reaped, alive() is false
//                       └─ BadTask: nothing runs
//
// A run ends in exactly one Execution, whatever the task does. After one that leaves the channel in doubt, or
// no process at all, alive() is false and the owner starts a fresh TaskProcess.
//
// Its parts: task_start.h starts it, channel.h exchanges frames with it, output_pipes.h reads what it writes,
// task_run.cc has the poll loop of one run, task_set.cc that of a set, until a job of it is by itself.
// This file greets it, kills it, and judges it between two jobs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "board/ledger.h"
#include "config/config.h"
#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"
#include "libtask/wire/ledger.h"
#include "sql/job.h"
#include "subworker/task/channel.h"
#include "subworker/task/execution.h"
#include "subworker/task/output_pipes.h"
#include "sys/descriptors.h"
#include "sys/leftovers.h"
#include "sys/oom.h"
#include "sys/process.h"

namespace postpone::subworker {

// The task executable cannot be started, or is none that this sub-worker understands. what() says what to do.
class BadTask : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The task executable has not answered, which says nothing of what is in it.
class TaskNotAsked : public BadTask {
 public:
  enum class Why {
    want,     // the host had no process, memory or descriptor to spare: it may have one a moment later
    cut_off,  // it took too long, or was killed: the host may be at fault, or the executable
    other,    // it cannot be started, or crashes
  };
  TaskNotAsked(const std::string& what, Why reason) : BadTask(what), why(reason) {}
  const Why why;
};

// What a run asks the sub-worker while it waits, and what it reports to it.
struct RunHooks {
  // Called at least every 50 ms, and every 10 ms in the first moments of the run. The first reason that it
  // returns makes the task stop; `now` means: kill it without grace.
  struct Stop {
    StopReason reason;
    bool now = false;
  };
  std::function<std::optional<Stop>(std::chrono::nanoseconds elapsed)> on_tick;
  std::function<void(const sql::Progress&)> on_progress;
  // One call of on_tick comes at this time, or right after it, whenever the others come.
  std::chrono::steady_clock::time_point tick_at = std::chrono::steady_clock::time_point::max();
  // Of the task, in bytes; 0 = it has none. The smaller of this and the group's holds.
  std::int64_t memory_limit = 0;
};

// A job of a set.
struct SetMember {
  const sql::Job& job;
  std::chrono::milliseconds time_limit;
};

struct SetHooks {
  // The ledger is at the first job of the set of this number, and the task process has not got it yet.
  std::function<void(std::uint32_t set)> on_hand_over;
  // Called every 10 ms at least, as long as no job is by itself. False: the job that runs is to be the last.
  std::function<bool()> goes_on;
  // One of these is by itself from now on: the task process runs none of those behind it. Those before it were
  // plain, and ran so.
  std::function<RunHooks(std::size_t index, const std::vector<libtask::wire::PlainRun>& before)> on_last;
  // As that of RunHooks.
  std::chrono::steady_clock::time_point tick_at = std::chrono::steady_clock::time_point::max();
};

class TaskProcess {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts the group's executable, in the cgroup `cgroup` unless that is empty. Returns at once; the process
  // gets ready on its own. Lines of its output go to `sink`. Throws sys::SpawnError. REQUIRES: group and ledger
  // outlive it; no other task process uses the ledger.
  TaskProcess(const config::Group& group, std::string cgroup, const board::Ledger& ledger, Output::Sink sink);
  ~TaskProcess();
  TaskProcess(const TaskProcess&) = delete;
  TaskProcess& operator=(const TaskProcess&) = delete;

  // Waits for its hello, checks it and answers. `waiting` is called every 50 ms at least and may throw. Does
  // nothing when it was greeted before. Throws BadTask, and the process is dead then.
  void greet(std::chrono::milliseconds limit, const std::function<void()>& waiting);

  // REQUIRES: greeted.
  const libtask::wire::Description& description() const { return description_; }

  // Runs a job. When it returns nothing lives that the job has started, or survived() says so. REQUIRES:
  // greeted, alive().
  Execution run(const sql::Job& job, std::chrono::milliseconds time_limit, const RunHooks& hooks);
  // May it be given sets? REQUIRES: greeted.
  bool serves_sets() const { return serves_sets_; }
  // Runs the jobs of a set, one after the other, until one is not plain or has to be by itself (at most until
  // the last). Returns how that one ended. REQUIRES: as run(); serves_sets(); 1 to kLedgerEntries jobs.
  Execution run_set(const std::vector<SetMember>& jobs, const SetHooks& hooks);
  // Is a job attended to, or its end? Then attend() may be called.
  bool runs() const { return running_ != nullptr; }
  // What attend() reads from, until the job has ended; -1 when it has, or none runs.
  int attended_fd() const;
  // For an on_tick that waits for something else: sees to the job that runs, as run() itself does between two
  // waits, so that its limits are kept and its output is read. Calls on_tick again. False when the job
  // has ended meanwhile: run() returns as soon as on_tick does.
  bool attend();

  // Closes the channel, at which it goes, gives it `grace`, then kills its group and what forked away from
  // it.
  void shut_down(std::chrono::milliseconds grace);

  // Kills what jobs have left behind, as the end of each run does too: a process may be forked late, by a
  // thread that a job has left in the task process, say. False when something is left all the same.
  bool kill_leftovers();

  // Hands on what it has written since its last job ended, which belongs to none.
  void pass_on_output();

  // False once it was reaped. has_ended(): it has died by itself, between two jobs.
  bool alive() const { return static_cast<bool>(process_); }
  bool has_ended() const;
  // Whether the next job may be given to it: it lives, its channel is silent, and no job has left it in a
  // state that would break what the next one may rely on (why stands in the log). REQUIRES: no job runs.
  bool is_sound();
  // No further job may be given to it: the one that it has run wanted it for itself.
  void retire() { damage_.sound = false; }
  // Something that it had started could not be killed (it hangs in the kernel, say) and lives on.
  bool survived() const { return damage_.survived; }
  pid_t pid() const { return process_.pid(); }
  int jobs_served() const { return jobs_served_; }
  std::chrono::milliseconds age() const;

 private:
  class Run;
  class Set;
  class Attended;
  // What jobs have done to it.
  struct Damage {
    int dead_children = 0;  // that it does not wait for
    bool sound = true;
    bool survived = false;
  };

  std::optional<libtask::wire::Frame> receive_hello(Clock::time_point deadline,
                                                    const std::function<void()>& waiting);
  void accept(const libtask::wire::Hello& hello);
  [[noreturn]] void give_up(const std::string& problem);
  void look_for_damage(bool failed);
  void damaged(const std::string& how);
  void send(const libtask::wire::Frame& frame);
  void look_at_oom();
  void begin_output();
  std::uint32_t next_set() const;
  libtask::wire::Run to_frame(const sql::Job& job, std::chrono::milliseconds time_limit) const;
  sys::ExitReport kill_all();

  const config::Group& group_;
  const std::string cgroup_;
  OutputPipes pipes_;
  sys::OomWitness oom_;  // before there is a process that could be killed
  sys::Process process_;
  Channel channel_;
  libtask::wire::Description description_;
  std::optional<sys::Leftovers> leftovers_;  // once greeted
  std::optional<sys::StandardDescriptors> standard_descriptors_;
  Damage damage_;
  const board::Ledger& ledger_;
  bool serves_sets_ = false;  // once greeted
  Run* running_ = nullptr;
  Clock::time_point started_;
  int jobs_served_ = 0;
};

}  // namespace postpone::subworker

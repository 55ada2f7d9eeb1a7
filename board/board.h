// The board: the memory that the supervisor and its sub-workers share.
//
// It is a memfd that children inherit by descriptor number, laid out as the fixed structs below: atomics and
// semaphores, no pointer, no allocator, and no mutex, because the holder of a mutex can be killed. Nothing
// here blocks but Doorbell::wait(). A page of it that is never written costs no memory.
//
// Which process writes what (any process may read everything, at any time):
//
//   supervisor          Header; which tasks have a limit (task_permits.h); of each slot: generation, group,
//                       command, doorbell; and, while no process owns the slot, all of it
//   owner of a slot     state, since_ns, heartbeat_ns, unrecorded_ns, lease, holds_permit, wanted_tasks, warm,
//                       task_pid, runs, last_fetch, counters, telemetry, jobs, outcomes
//   housekeeper         Header::housekeeper; of each slot: lost_lease, good_lease, good_ns, stop
//   any process         a doorbell is rung by any process, a permit taken and freed by compare-exchange
//
// The supervisor never decides from the board which processes exist: it knows that from its own children. It
// reads the board to choose which sub-workers to wake, and to answer questions on the status socket.
//
// The right loop at a doorbell, and why:
//
//     for (;;) {
//       slot.doorbell.answer();        // first: a ring from now on is for the next round
//       look for work;                 // sees everything that was committed before the rings answered above
//       if (found) { …; continue; }
//       slot.state = idle;
//       slot.doorbell.wait(…);         // returns at once when it was rung since answer()
//     }
//
// Looking first and answering afterwards loses the ring that came in between.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "board/job_entry.h"
#include "board/last_fetch.h"
#include "board/ledger.h"
#include "board/telemetry.h"
#include "sys/fd.h"

namespace postpone::board {

inline constexpr std::uint32_t kMagic = 0x50505442;  // "PPTB"
// Any change of a struct below, in job_entry.h, last_fetch.h or task_permits.h raises it.
inline constexpr std::uint32_t kLayoutVersion = 10;
inline constexpr std::uint32_t kMaxSlots = 1024;
inline constexpr std::uint32_t kMaxGraves = 128;
inline constexpr std::uint32_t kMaxLimitedTasks = 256;  // tasks with a concurrency limit, in one family
inline constexpr std::uint32_t kJobsPerSlot = 128;  // the most jobs that one sub-worker may hold at a time

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC: the same for all processes of a host

// Nanoseconds of Clock since its epoch, as stored on the board.
std::int64_t now_ns();

// The same of CLOCK_BOOTTIME, which goes on while the machine sleeps: leases are judged by it.
std::int64_t boot_ns();

// Why a doorbell was rung: bits, because several ringers may have several reasons before one answer.
inline constexpr std::uint32_t kRungForWork = 1;     // there may be a job
inline constexpr std::uint32_t kRungForPermit = 2;   // a permit is free, or (to an idle holder) is wanted
inline constexpr std::uint32_t kRungForCommand = 4;  // read `command`, or a signal came
inline constexpr std::uint32_t kRungForAborts = 8;   // (the housekeeper) a running job may have to stop
inline constexpr std::uint32_t kRungForGrave = 16;   // (the housekeeper) a sub-worker was buried

// A semaphore used as a latch: rung any number of times before it is answered, it counts once. What it keeps
// are the reasons. Safe for any number of ringers and one waiter, in different processes, each of which may
// be killed at any point; what a death in the middle can cost is one wake-up, which the limit of wait()
// heals.
class Doorbell {
 public:
  // By the supervisor, when it makes the board: puts the semaphore in place. REQUIRES: no process uses this
  // doorbell yet.
  void init();

  // Wakes the waiter, or makes its next wait() return at once. Async-signal-safe.
  void ring(std::uint32_t reasons) noexcept;

  // Takes all reasons given so far (0 = not rung). Call it before looking for work.
  std::uint32_t answer() noexcept;

  // Waits until rung, interrupted by a signal, or `limit` has passed. True when rung. It does not answer().
  bool wait(std::chrono::nanoseconds limit) noexcept;

  // When the first of the rings came that were not answered yet (now_ns()), to measure how long a wake-up
  // takes. Of meaning only while is_rung(), and right only most of the time: ringers race.
  std::int64_t rung_ns() const noexcept { return rung_ns_.load(std::memory_order_relaxed); }

  bool is_rung() const noexcept { return rung_.load(std::memory_order_seq_cst) != 0; }
  bool is_rung_for(std::uint32_t reasons) const noexcept {
    return (rung_.load(std::memory_order_seq_cst) & reasons) != 0;
  }

 private:
  void start_afresh() noexcept;

  std::atomic<std::int64_t> rung_ns_;
  std::atomic<std::uint32_t> rung_;      // the reasons; the ringer that makes it non-zero posts the semaphore
  alignas(16) std::byte semaphore_[48];  // an interprocess_semaphore
};

// What a sub-worker is doing. Written by the owner of the slot only.
//
//   vacant ─▶ starting ─ready─▶ looking ◀─rung, due, polled─ idle
//                                │  ▲ └───found nothing──────▶┘
//                   found a job  ▼  │  job ended
//                               running
//
//   waiting_for_permit: looking, without a connection yet
//   stopping: from any state, when commanded to leave; the supervisor notices its end by pidfd
enum class SlotState : std::uint32_t {
  vacant,              // no sub-worker has written here in this generation
  starting,            // connecting, starting its task process
  idle,                // waits at its doorbell
  looking,             // finishing and fetching
  waiting_for_permit,  // wants to look, all permits are taken
  running,             // a job runs
  stopping,            // on its way out
};

// What the supervisor wants of a sub-worker, or of the housekeeper.
enum class Command : std::uint32_t {
  run,
  pause,     // fetch nothing, stay
  leave,     // finish what runs, however long that takes, fetch nothing more, exit (the housekeeper: at once)
  drain,     // finish what runs within the grace, fetch nothing more, exit
  stop_now,  // kill the task, record that, exit
};

// A group, as a number made of its name: every process of the family makes the same one, whatever else its
// configuration says and wherever the group stands in it. So a reload renumbers nothing, and a ring never
// reaches a sub-worker of another group. Two names of one configuration share a number with a chance of 2^-44
// at most (1024 groups); their sub-workers would then be woken for each other's jobs, and find none.
using GroupId = std::uint64_t;
GroupId group_id(std::string_view name);

// The group of a slot that is not to be woken for work any more. No name has this number.
inline constexpr GroupId kNoGroup = ~GroupId{0};

struct Counters {
  std::atomic<std::uint64_t> fetched;
  std::atomic<std::uint64_t> succeeded;
  std::atomic<std::uint64_t> failed;
  std::atomic<std::uint64_t> retried;
  std::atomic<std::uint64_t> crashed;
};

// Why a job that runs is to be stopped: the housekeeper has asked the database.
enum class StopWish : std::uint64_t {
  abort,  // a client has asked to abort it
  taken,  // its row is gone, has ended, waits again or is another's: another holder of its lock may run
};

struct Slot {
  // Written by the supervisor.
  std::atomic<std::uint32_t> generation;  // counts the incarnations of this slot; 0 = never used
  std::atomic<GroupId> group;             // the group of the configuration that it serves, or kNoGroup
  std::atomic<Command> command;
  Doorbell doorbell;

  // Written by the housekeeper: which run is to be stopped, and why, as stop_code() packs it. It names the
  // run and not the job, which may have ended, and may have been started again, since the question was asked.
  std::atomic<std::uint64_t> stop;

  // Written by the housekeeper: a lease of this slot whose row is gone from the database, or that gets no
  // heartbeats any more. Other hosts hold its owner for dead, and may be running its job by now.
  std::atomic<std::int64_t> lost_lease;
  // Written by the housekeeper, through note_good_lease(): the lease of this slot that last got a heartbeat,
  // and when that heartbeat was begun, by boot_ns(). One time for each lease: a heartbeat says nothing of a
  // lease that was not in it, and a lease that was registered meanwhile was not.
  std::atomic<std::int64_t> good_lease;
  std::atomic<std::int64_t> good_ns;

  // Written by the owner.
  std::atomic<SlotState> state;
  std::atomic<std::int64_t> since_ns;       // when `state` was entered
  std::atomic<std::int64_t> heartbeat_ns;   // when the owner last showed that it lives
  std::atomic<std::int64_t> unrecorded_ns;  // when an outcome was last left to people; 0 = never
  std::atomic<std::int64_t> lease;          // its lease: the row of procrastinate_workers; 0 = none yet
  std::atomic<std::uint32_t> holds_permit;
  // A bit for each task with a limit: it leaves jobs of the task alone, for want of a permit (task_permits.h).
  std::atomic<std::uint64_t> wanted_tasks[kMaxLimitedTasks / 64];
  std::atomic<std::uint32_t> warm;  // jobs came over its connection, or a rehearsal: the server has its plans
  std::atomic<std::int32_t> task_pid;
  std::atomic<std::uint64_t> runs;  // jobs that ran here by themselves, over all incarnations
  SharedLastFetch last_fetch;
  Counters counters;
  Telemetry telemetry;
  // So many entries of `jobs` were in use at a time, from the first on. The others were never touched, and are
  // not to be: they have pages of their own, and so has the room.
  std::atomic<std::uint32_t> jobs_used;
  JobEntry jobs[kJobsPerSlot];
  OutcomeRoom outcomes;

  // By the owner: enters a state and stamps it.
  void enter(SlotState next) noexcept;
  void beat() noexcept { heartbeat_ns.store(now_ns(), std::memory_order_relaxed); }
  // By the housekeeper: a heartbeat of this lease that was begun then has reached the database.
  void note_good_lease(std::int64_t lease, std::int64_t begun_ns) noexcept;
  // When the last stored heartbeat of this lease was begun; 0 = none is known of.
  std::int64_t good_since(std::int64_t lease) const noexcept;
  // By the owner, whose `entry` names the job already: this run begins. A wish from here on means this run.
  void begin_run(JobEntry& entry) noexcept;
  // By the owner: is the run to be stopped that began last?
  std::optional<StopWish> stop_wish() const noexcept;
};

// What a dead sub-worker left behind, for the housekeeper to rescue. The supervisor fills a grave (the slot
// itself is given to the next incarnation at once) and stores `lease` last; the housekeeper stores
// `settled_lease` when the database knows everything; a grave whose two numbers are equal is free.
struct Grave {
  std::atomic<std::int64_t> lease;
  std::atomic<std::int64_t> settled_lease;
  std::atomic<std::uint32_t> slot;
  JobEntry jobs[kJobsPerSlot];
  OutcomeRoom outcomes;
};

// The right to hold one pooled connection, or to run jobs of a task: 0 = free, else the owner's tag (slot + 1, generation).
struct PermitCell {
  std::atomic<std::uint64_t> owner;
};

struct Header {
  std::uint32_t magic;
  std::uint32_t layout_version;
  std::uint64_t bytes;                           // of the whole layout
  std::atomic<std::uint32_t> slots;              // slots in use: 0 … slots-1
  std::atomic<std::uint32_t> permits;            // permits that may be held at a time: cells 0 … permits-1
  std::atomic<std::uint32_t> task_limits;        // entries in use: 0 … task_limits-1
  std::atomic<std::uint32_t> task_limits_epoch;  // raised when they have changed
  // Rung when a job was scheduled for later or a sub-worker was buried.
  Doorbell housekeeper_doorbell;
  std::atomic<Command> housekeeper_command;
  std::atomic<std::int64_t> housekeeper_heartbeat_ns;
  // Raised by the supervisor when members are to open the log file again, and to read log_levels.
  std::atomic<std::uint32_t> log_epoch;
  // sys::levels_in_a_word(); 0 = as the configuration has them. Read after log_epoch.
  std::atomic<std::uint64_t> log_levels;
  // Written by the supervisor: does a client follow the news of jobs? Sub-workers write none else.
  std::atomic<std::uint32_t> news_wanted;
  HousekeeperTelemetry housekeeper;
};

struct Layout;  // Header, permits, limits of tasks, graves, slots
struct TaskLimit;

// A process has written over the board. The member that finds this out ends, with this line. It is no
// std::runtime_error, because callers treat that as a passing trouble of the one thing they were doing.
class Damaged : public std::logic_error {
 public:
  explicit Damaged(const std::string& what)
      : std::logic_error("the shared memory of this family was written over (" + what +
                         "), perhaps by a task: it cannot be relied on any more") {}
};

// A mapping of the board. Move-only; unmapped at the end, the memory itself lives as long as any process maps
// it.
class Board {
 public:
  // A new board, by the supervisor (or by a sub-worker that is started by hand). REQUIRES: 1 <= slots <=
  // kMaxSlots, 1 <= permits <= kMaxSlots. Throws std::system_error.
  static Board create(std::uint32_t slots, std::uint32_t permits);
  // The board behind an inherited descriptor. Throws std::runtime_error when magic, version or size differ.
  static Board attach(sys::Fd fd);

  // Of the whole layout; most of it is never touched, and costs no memory.
  static std::size_t bytes();

  Board(Board&& other) noexcept;
  Board& operator=(Board&&) = delete;
  ~Board();

  int fd() const { return fd_.get(); }
  Header& header() const;
  Slot& slot(std::uint32_t index) const;    // REQUIRES: index < kMaxSlots
  Grave& grave(std::uint32_t index) const;  // REQUIRES: index < kMaxGraves
  PermitCell& permit(std::uint32_t index) const;
  TaskLimit& task_limit(std::uint32_t index) const;  // REQUIRES: index < kMaxLimitedTasks
  // How many slots there are to look through, whatever the header says.
  std::uint32_t slots() const;

  // Throws Damaged when the header is not that of this layout, or holds a count or a command out of range.
  // Other values are not checked here: each reader bounds what it reads.
  void check() const;
  // By the owner: that, and whether the slot is that of this incarnation, and of its group or of none.
  void check_slot(std::uint32_t index, std::uint32_t generation, std::string_view group) const;

  // By the supervisor, before the incarnation is started: raises the generation, frees every entry, command =
  // run. Returns the new generation. REQUIRES: no process owns the slot.
  std::uint32_t reset_slot(std::uint32_t index, GroupId group);
  // By the supervisor: the slot is to serve another group, and what was counted for the former one is
  // forgotten. REQUIRES: no process owns the slot.
  void clear_counts(std::uint32_t index);

  // By the supervisor, when an incarnation and its task process have ended: copies what it held into a free
  // grave and rings the housekeeper. What it had handed over stands in the grave as the ledger has it: as
  // succeeded, running or fetched. False when no grave is free (try again later: nothing was changed).
  // REQUIRES: lease is the lease of that incarnation, not 0, and was not buried before. `ledger`: that
  // incarnation's; null = it had none.
  bool fill_grave(std::uint32_t index, std::int64_t lease, const Ledger* ledger = nullptr);

 private:
  Board(sys::Fd fd, Layout* layout) : fd_(std::move(fd)), layout_(layout) {}

  sys::Fd fd_;
  Layout* layout_;
};

// A permit in hand; when it goes it is freed, and one sub-worker that waits for a permit is rung. Move-only.
class Permit {
 public:
  // Takes a free permit for the incarnation (slot, generation); nothing when all are taken.
  static std::optional<Permit> try_take(const Board& board, std::uint32_t slot, std::uint32_t generation);

  Permit(Permit&& other) noexcept;
  Permit& operator=(Permit&& other) noexcept;
  ~Permit();

  // Are there fewer permits by now than when it was taken? Then it is to be given back as soon as its
  // connection is not needed.
  bool is_surplus() const;

 private:
  Permit(const Board& board, std::uint32_t cell, std::uint64_t owner)
      : board_(&board), cell_(cell), owner_(owner) {}
  void give_back() noexcept;

  const Board* board_;
  std::uint32_t cell_;
  std::uint64_t owner_;
};

// A job that runs, and under which lease, as the board shows it.
struct RunningJobView {
  std::uint32_t slot = 0;
  std::uint64_t run = 0;
  std::int64_t job_id = 0;
  std::int64_t lease = 0;
};

// All that run. One whose run ends or begins in this moment may be missing.
std::vector<RunningJobView> running_jobs(const Board& board);

// By the housekeeper: that run is to be stopped. Of no effect when it has ended.
void request_stop(const Board& board, const RunningJobView& job, StopWish why);

// Is there a grave that the housekeeper has not settled yet?
bool has_open_grave(const Board& board);

// By the supervisor: frees every permit of an incarnation that has ended, found by a scan of all cells.
// Returns how many.
int reclaim_permits(const Board& board, std::uint32_t slot, std::uint32_t generation);

// Is a sub-worker waiting for a permit? What a holder asks itself while it does not need its connection.
bool someone_waits_for_permit(const Board& board);

// How long the sub-worker that waits longest for a permit has waited; 0 = none waits.
std::chrono::nanoseconds longest_wait_for_permit(const Board& board);

// By a sub-worker that waits for a permit: rings an idle one that holds a connection, so that it gives it up.
void ask_idle_holder_for_permit(const Board& board);

// By the supervisor, when it has changed their number: rings the holders of those that are surplus now, and
// all sub-workers that wait for one.
void ring_for_changed_permits(const Board& board);

}  // namespace postpone::board

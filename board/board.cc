#include "board/board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <span>
#include <stdexcept>
#include <string>

#include "board/layout.h"

namespace postpone::board {

namespace {

Layout* map(int fd) {
  void* const memory =
      ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (memory == MAP_FAILED) sys::throw_errno("cannot map the board");
  return static_cast<Layout*>(memory);
}

[[noreturn]] void refuse(int fd, const std::string& why) {
  throw std::runtime_error("descriptor " + std::to_string(fd) + " is not a board of this version: " + why +
                           "; supervisor and sub-worker must come from the same installation");
}

void free_entries(JobEntry (&jobs)[kJobsPerSlot]) {
  for (JobEntry& job : jobs) job.phase.store(JobPhase::none, std::memory_order_relaxed);
}

void copy_success(const Success& from, Success& to) {
  to.attempt.store(from.attempt.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.deletes_job.store(from.deletes_job.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.omits_events.store(from.omits_events.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.omits_attempt.store(from.omits_attempt.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.run_ns.store(from.run_ns.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.cpu_us.store(from.cpu_us.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.max_rss_bytes.store(from.max_rss_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

// What became of a job that was handed over. The ledger has the job's set, since it was there before the job
// was `handed`, and leaves it only when no job of that set is. A ledger that has not, or that tells of a run
// before the set was handed over, was written over by the task. Then the job counts as running: a job that
// kills its sub-worker must not get away without the loss of an attempt.
JobPhase judge_handed(const JobEntry& job, const Ledger* ledger, Success& success) {
  namespace wire = libtask::wire;
  const std::uint32_t index = job.index.load(std::memory_order_relaxed);
  if (ledger == nullptr || index >= wire::kLedgerEntries) return JobPhase::running;
  const wire::Cursor cursor = wire::to_cursor((*ledger)->cursor.load(std::memory_order_acquire));
  if (!wire::possible_in(cursor, job.set.load(std::memory_order_relaxed),
                         job.jobs_of_set.load(std::memory_order_relaxed)) ||
      cursor.index == index)
    return JobPhase::running;
  if (cursor.index < index) return JobPhase::fetched;
  const wire::PlainRun run = (*ledger)->entries[index].read();
  if (!wire::is_possible(run, job.handed_ns.load(std::memory_order_relaxed), now_ns()))
    return JobPhase::running;
  write_success(success, run);
  return JobPhase::succeeded;
}

// The owner may have died while it wrote: an outcome counts only when its phase says so, and only as far as
// it can be. Returns how much of the grave's room is used then.
std::uint32_t copy_entry(const JobEntry& from, const OutcomeRoom& outcomes, JobEntry& to, Grave& grave,
                         std::uint32_t used, const Ledger* ledger) {
  JobPhase phase = from.phase.load(std::memory_order_acquire);
  copy_success(from.success, to.success);
  if (phase == JobPhase::handed) phase = judge_handed(from, ledger, to.success);
  // Where entries that were written over share a text, there are more of them than fit.
  std::string_view text = phase == JobPhase::ended ? outcome_of(from, outcomes) : std::string_view();
  if (text.size() > kOutcomeRoom - used) text = {};
  write_outcome(to, grave.outcomes, used, text);
  to.job_id.store(from.job_id.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.phase.store(phase, std::memory_order_relaxed);
  return used + static_cast<std::uint32_t>(text.size());
}

// The entries that hold a job, one behind the other, and no others.
void copy_entries(const Slot& slot, Grave& grave, const Ledger* ledger) {
  free_entries(grave.jobs);
  std::size_t used = 0;
  std::uint32_t bytes_used = 0;
  for (const JobEntry& job : slot.jobs) {
    if (job.phase.load(std::memory_order_relaxed) != JobPhase::none)
      bytes_used = copy_entry(job, slot.outcomes, grave.jobs[used++], grave, bytes_used, ledger);
  }
}

// Runs are counted from 1, so that 0 stands for no wish.
constexpr std::uint64_t stop_code(std::uint64_t run, StopWish why) {
  return 2 * run + static_cast<std::uint64_t>(why);
}

bool is_free(const Grave& grave) {
  return grave.lease.load(std::memory_order_relaxed) == grave.settled_lease.load(std::memory_order_acquire);
}

}  // namespace

// FNV-1a, without its highest bit, so that no name has the number kNoGroup.
GroupId group_id(std::string_view name) {
  GroupId hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash >> 1;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

std::int64_t boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// The stamp goes first: a reader that sees the state sees since when.
void Slot::enter(SlotState next) noexcept {
  since_ns.store(now_ns(), std::memory_order_relaxed);
  state.store(next, std::memory_order_seq_cst);
}

void Slot::begin_run(JobEntry& entry) noexcept {
  runs.store(runs.load(std::memory_order_relaxed) + 1);
  entry.phase.store(JobPhase::running);
}

std::optional<StopWish> Slot::stop_wish() const noexcept {
  const std::uint64_t run = runs.load(std::memory_order_relaxed);
  const std::uint64_t wish = stop.load();
  for (const StopWish why : {StopWish::abort, StopWish::taken})
    if (wish == stop_code(run, why)) return why;
  return std::nullopt;
}

Board Board::create(std::uint32_t slots, std::uint32_t permits) {
  sys::Fd fd(::memfd_create("postpone-board", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) sys::throw_errno("cannot make the board");
  if (::ftruncate(fd.get(), sizeof(Layout)) != 0) sys::throw_errno("cannot size the board");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    sys::throw_errno("cannot seal the board");
  }
  Layout* const layout = map(fd.get());
  Board board(std::move(fd), layout);
  Header& header = board.header();
  header.magic = kMagic;
  header.layout_version = kLayoutVersion;
  header.bytes = sizeof(Layout);
  header.slots.store(slots, std::memory_order_relaxed);
  header.permits.store(permits, std::memory_order_relaxed);
  header.housekeeper_doorbell.init();
  return board;
}

Board Board::attach(sys::Fd fd) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) refuse(fd.get(), std::strerror(errno));
  if (status.st_size != static_cast<off_t>(sizeof(Layout))) refuse(fd.get(), "its size differs");
  Layout* const layout = map(fd.get());
  Board board(std::move(fd), layout);
  const Header& header = board.header();
  if (header.magic != kMagic) refuse(board.fd(), "it does not begin as one");
  if (header.layout_version != kLayoutVersion || header.bytes != sizeof(Layout)) {
    refuse(board.fd(), "its layout is version " + std::to_string(header.layout_version) + ", not " +
                           std::to_string(kLayoutVersion));
  }
  return board;
}

Board::Board(Board&& other) noexcept
    : fd_(std::move(other.fd_)), layout_(std::exchange(other.layout_, nullptr)) {}

Board::~Board() {
  if (layout_ != nullptr) ::munmap(layout_, sizeof(Layout));
}

Header& Board::header() const {
  return layout_->header;
}
Slot& Board::slot(std::uint32_t index) const {
  return layout_->slots[index];
}
Grave& Board::grave(std::uint32_t index) const {
  return layout_->graves[index];
}
PermitCell& Board::permit(std::uint32_t index) const {
  return layout_->permits[index];
}
TaskLimit& Board::task_limit(std::uint32_t index) const {
  return layout_->task_limits[index];
}

std::size_t Board::bytes() {
  return sizeof(Layout);
}

std::uint32_t Board::slots() const {
  return slots_in_use(*this);
}

void Board::check() const {
  const Header& head = header();
  if (head.magic != kMagic || head.layout_version != kLayoutVersion || head.bytes != sizeof(Layout))
    throw Damaged("its head");
  if (head.slots.load() == 0 || head.slots.load() > kMaxSlots || head.permits.load() == 0 ||
      head.permits.load() > kMaxSlots || head.housekeeper_command.load() > Command::stop_now)
    throw Damaged("its counts");
}

void Board::check_slot(std::uint32_t index, std::uint32_t generation, std::string_view group) const {
  check();
  const Slot& own = slot(index);
  const GroupId serves = own.group.load();
  if (own.generation.load() != generation || own.command.load() > Command::stop_now ||
      own.state.load() > SlotState::stopping || (serves != group_id(group) && serves != kNoGroup))
    throw Damaged("slot " + std::to_string(index));
}

std::uint32_t Board::reset_slot(std::uint32_t index, GroupId group) {
  Slot& used = slot(index);
  // 0 means that no incarnation was ever here: never again, whatever a foreign hand has written there.
  const std::uint32_t generation = std::max(used.generation.load(std::memory_order_relaxed) + 1, 1U);
  if (generation <= 1) {
    used.doorbell.init();
  } else {
    used.doorbell.answer();
    free_entries(used.jobs);
  }
  used.group.store(group, std::memory_order_relaxed);
  used.command.store(Command::run, std::memory_order_relaxed);
  used.stop.store(0, std::memory_order_relaxed);
  used.lease.store(0, std::memory_order_relaxed);
  used.lost_lease.store(0, std::memory_order_relaxed);
  used.good_lease.store(0, std::memory_order_relaxed);
  used.holds_permit.store(0, std::memory_order_relaxed);
  for (auto& word : used.wanted_tasks) word.store(0, std::memory_order_relaxed);
  used.warm.store(0, std::memory_order_relaxed);
  used.task_pid.store(0, std::memory_order_relaxed);
  used.last_fetch.store({});
  used.telemetry.forget_incarnation();
  used.beat();
  used.enter(SlotState::vacant);
  used.generation.store(generation, std::memory_order_seq_cst);
  return generation;
}

// A reader that finds the same lease before and after the time has read the time of that lease, or a later
// one of it.
void Slot::note_good_lease(std::int64_t lease, std::int64_t begun_ns) noexcept {
  if (good_lease.load() == lease) return good_ns.store(begun_ns);
  good_lease.store(0);
  good_ns.store(begun_ns);
  good_lease.store(lease);
}

std::int64_t Slot::good_since(std::int64_t lease) const noexcept {
  if (good_lease.load() != lease) return 0;
  const std::int64_t since = good_ns.load();
  return good_lease.load() == lease ? since : 0;
}

void Board::clear_counts(std::uint32_t index) {
  Slot& vacant = slot(index);
  for (auto* counter : {&vacant.counters.fetched, &vacant.counters.succeeded, &vacant.counters.failed,
                        &vacant.counters.retried, &vacant.counters.crashed})
    counter->store(0, std::memory_order_relaxed);
  vacant.telemetry.clear_counts();
}

bool Board::fill_grave(std::uint32_t index, std::int64_t lease, const Ledger* ledger) {
  for (Grave& grave : layout_->graves) {
    if (!is_free(grave)) continue;
    copy_entries(slot(index), grave, ledger);
    grave.slot.store(index, std::memory_order_relaxed);
    grave.lease.store(lease, std::memory_order_release);
    header().housekeeper_doorbell.ring(kRungForGrave);
    return true;
  }
  return false;
}

// Reads run, job, phase, run again. While the first and the last are the same no other run began, and an
// entry that was `running` in between is the entry of that run: the owner names the job before it raises the
// number, and names another job only after it has left `running`.
std::vector<RunningJobView> running_jobs(const Board& board) {
  std::vector<RunningJobView> running;
  for (std::uint32_t i = 0; i < slots_in_use(board); ++i) {
    const Slot& slot = board.slot(i);
    const std::uint32_t used = std::min(slot.jobs_used.load(), kJobsPerSlot);
    for (const JobEntry& entry : std::span(slot.jobs, used)) {
      RunningJobView view{i, slot.runs.load(), entry.job_id.load(), slot.lease.load()};
      const JobPhase phase = entry.phase.load();
      if (phase == JobPhase::running && slot.runs.load() == view.run) running.push_back(view);
    }
  }
  return running;
}

void request_stop(const Board& board, const RunningJobView& job, StopWish why) {
  board.slot(job.slot).stop.store(stop_code(job.run, why));
}

bool has_open_grave(const Board& board) {
  for (std::uint32_t i = 0; i < kMaxGraves; ++i)
    if (!is_free(board.grave(i))) return true;
  return false;
}

}  // namespace postpone::board

#include "supervisor/supervisor.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "board/wake.h"
#include "sys/crash_point.h"
#include "sys/host.h"
#include "sys/log.h"
#include "sys/oom.h"
#include "sys/process_title.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;

constexpr auto kUpkeepInterval = 1s;           // heartbeats on the board are looked at so often
constexpr auto kFrozen = 3 * kUpkeepInterval;  // no upkeep for so long: we were not running
constexpr auto kBurialRetry = 5ms;             // SIGKILL takes a moment; nobody waits for it here
constexpr auto kLongestBurialRetry = 1s;
constexpr auto kOneShotInterval = 20ms;
constexpr auto kKillMargin = 5s;  // beyond what the sub-workers grant themselves when draining

std::string identity(const config::Config& config) {
  const std::string name = config.supervisor.name.empty() ? sys::host_name() : config.supervisor.name;
  return fmt::format("{}:{}:{}", name, ::getpid(),
                     std::chrono::system_clock::now().time_since_epoch().count());
}

// When memory runs out the task processes go first, then the sub-workers, and the supervisor last, who
// replaces both. Returns the score for its children: higher than our own, whether ours could be lowered or
// not.
int be_last_for_the_oom_killer() {
  constexpr int kLowest = -999;  // -1000 would exempt us, and what is exempt gets blamed on others
  constexpr int kLead = 100;
  const int score = sys::oom_score_adj();
  const bool lowered = sys::set_oom_score_adj(std::max(score - kLead, kLowest));
  return lowered ? score : std::min(score + kLead, sys::kHighestOomScoreAdj);
}

}  // namespace

sys::LogOptions log_options(const config::Log& log) {
  return {log.level, log.levels, log.format == config::LogFormat::json, log.file};
}

// A living child and what is waited for. Destroying it stops the waiting; the process must have been reaped.
struct Supervisor::Child {
  Child(Loop& loop, MemberId who, std::uint32_t which, Spawned spawned)
      : member(who),
        generation(which),
        process(std::move(spawned.process)),
        leash(std::move(spawned.leash)),
        end(loop, process.pidfd()),
        words(loop, leash.get()) {}

  MemberId member;
  std::uint32_t generation;
  sys::Process process;
  sys::Fd leash;
  Watch end;    // readable when the process has ended
  Watch words;  // readable when it has said something
};

Supervisor::Supervisor(config::Config config, Options options)
    : options_(std::move(options)),
      config_(std::move(config)),
      config_text_(options_.config_text),
      one_shot_(options_.one_shot),
      slots_(static_cast<std::uint32_t>(config_.total_subworkers())),
      timer_(loop_),
      service_(options_.service_manager),
      task_cgroups_(slots_),
      board_(board::Board::create(slots_, static_cast<std::uint32_t>(config_.effective_pool_size()))),
      config_memfd_(sys::make_sealed_memfd("postpone-config", config_text_)),
      roster_(housekeeper() + 1, policy_of(config_.supervisor), Clock::now()),
      burial_pause_(kBurialRetry, kLongestBurialRetry),
      group_of_(slots_, board::kNoGroup),
      tenures_(slots_) {
  children_.resize(preflight() + 1);
  for (std::uint32_t slot = 0; slot < board::kMaxSlots; ++slot) roster_.unwant(slot);
  arrange_posts();
  for (const config::Group& group : config_.groups)
    stamps_[group.executable] = sys::file_stamp(group.executable);
  family_.program = open_sub_worker_program();
  family_.supervisor = identity(config_);
  family_.config_directory = options_.config_directory;
  family_.config_fd = config_memfd_.get();
  family_.board_fd = board_.fd();
  family_.database_url = options_.overrides.database_url.value_or("");
  family_.log_level = options_.overrides.log_level.value_or("");
  family_.oom_score_adj = be_last_for_the_oom_killer();
}

Supervisor::~Supervisor() = default;

RosterPolicy Supervisor::policy_of(const config::Supervisor& s) {
  return {s.start_deadline, s.subworker_timeout, s.housekeeper_timeout(), s.respawn_backoff,
          s.respawn_backoff_max};
}

Exit Supervisor::run() {
  sys::forbid_inspection();  // the family does the same: what tasks of our user could read, they could write
  strangers_ = sys::children_of(::getpid());
  sys::become_subreaper();
  loop_.on_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGTSTP, SIGCONT},
                   [this](int signal_number) { on_signal(signal_number); });
  spdlog::info("supervisor {} starts: {} sub-workers in {} groups, {} pooled connections", family_.supervisor,
               slots_, config_.groups.size(), config_.effective_pool_size());
  if (!options_.service_manager.problem().empty()) spdlog::warn("{}", options_.service_manager.problem());
  try {
    open_desk();
  } catch (const status::SocketMistake& mistake) {
    spdlog::critical("{}", mistake.what());
    return Exit::configuration;
  }
  adopt(preflight(), spawn_preflight(family_));
  upkeep();
  loop_.run();
  spdlog::info("supervisor ends");
  return exit_;
}

// --- children ---

void Supervisor::adopt(MemberId member, Spawned spawned, std::uint32_t generation) {
  children_[member] = std::make_unique<Child>(loop_, member, generation, std::move(spawned));
  if (desk_ && member != preflight()) desk_->born(who(member), children_[member]->process.pid());
  await_end(*children_[member]);
  await_words(*children_[member]);
}

void Supervisor::await_end(Child& child) {
  child.end.when_readable([this, member = child.member] { on_end(member); });
}

void Supervisor::await_words(Child& child) {
  child.words.when_readable([this, member = child.member] {
    hear(*children_[member]);
    upkeep();
  });
}

// Takes all that the child has said. The end of the leash is no news: its death is noticed by pidfd.
void Supervisor::hear(Child& child) {
  if (child.member == preflight()) return hear_reasons(child);
  board::LeashMessage message{};
  ssize_t length = 0;
  while ((length = ::recv(child.leash.get(), &message, sizeof message, MSG_DONTWAIT)) > 0) {
    const bool ours = length == sizeof message && message.generation == child.generation;
    if (!ours) continue;
    if (message.word == board::LeashWord::leased) roster_.leased(child.member, message.lease);
    if (message.word == board::LeashWord::started) roster_.started(child.member);
    if (message.word == board::LeashWord::ready) {
      roster_.ready(child.member);
      if (desk_) desk_->ready(who(child.member));
      spdlog::debug("{} (pid {}) is ready", name_of(child.member), child.process.pid());
    }
  }
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) await_words(child);
}

// Of the check of a configuration: why not, or why not yet.
void Supervisor::hear_reasons(Child& child) {
  std::array<char, board::kMostReasonBytes> text;
  ssize_t length = 0;
  while ((length = ::recv(child.leash.get(), text.data(), text.size(), MSG_DONTWAIT)) > 0) {
    std::string reason(text.data(), static_cast<std::size_t>(length));
    if (phase_ == Phase::preflight)
      preflight_trouble_ = status::Trouble{board::now_ns(), std::move(reason)};
    else if (pending_ && pending_->reasons++ == 0)
      pending_->reason = std::move(reason);
  }
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) await_words(child);
}

void Supervisor::on_end(MemberId member) {
  Child& child = *children_[member];
  hear(child);  // its last words, a lease perhaps
  const auto pid = child.process.pid();
  const auto report = child.process.try_reap();
  if (!report) return await_end(child);
  sys::crash_point("supervisor.member_reaped");
  const auto generation = child.generation;
  children_[member].reset();
  if (member == preflight()) return on_preflight_end(*report);
  const bool well = !report->signalled && report->code == 0;
  if (!well || phase_ == Phase::working)
    spdlog::log(well ? spdlog::level::info : spdlog::level::warn, "{} (pid {}) ended: {}", name_of(member),
                pid, sys::to_string(*report));
  if (desk_) desk_->ended(who(member), well, sys::to_string(*report));
  // A sub-worker that ended well has deleted its lease itself; there is nothing to rescue.
  burials_.push_back({member, well ? 0 : roster_.lease(member), generation, end_of(member, *report)});
  // Nobody writes here now but us, and nobody is to ring it. Its lease is kept alive until it is buried: as
  // long as something that it had started lives, its job is nobody else's.
  if (member < slots_) board_.slot(member).enter(board::SlotState::vacant);
  upkeep();
}

void Supervisor::on_preflight_end(const sys::ExitReport& report) {
  if (phase_ == Phase::draining) return upkeep();
  if (phase_ == Phase::working) return on_reload_checked(report);
  const auto status =
      report.signalled ? board::SubWorkerExit::internal_error : board::SubWorkerExit(report.code);
  if (status == board::SubWorkerExit::done) return start_working();
  kill_orphans(1s);  // a task executable that it was asking, perhaps
  spdlog::error("not started: see above");
  exit_ = status == board::SubWorkerExit::bad_schema ? Exit::schema
          : status == board::SubWorkerExit::bad_task || status == board::SubWorkerExit::usage
              ? Exit::configuration
              : Exit::failure;
  loop_.stop();
}

std::vector<pid_t> Supervisor::not_orphans() const {
  std::vector<pid_t> pids = strangers_;
  for (const auto& child : children_)
    if (child) pids.push_back(child->process.pid());
  return pids;
}

void Supervisor::bury(const Burial& burial) {
  const Clock::time_point now = Clock::now();
  if (burial.member < slots_) board::reclaim_permits(board_, burial.member, burial.generation);
  roster_.ended(burial.member, now, sys::chance(), burial.end);
  if (burial.member == housekeeper()) return;
  // What it was rung for and did not answer is for somebody else to look at.
  const std::uint32_t group = group_of_[burial.member];
  if (group == board::kNoGroup) return;
  if (board_.slot(burial.member).doorbell.is_rung_for(board::kRungForWork))
    board::wake_sibling(board_, group);
}

Roster::End Supervisor::end_of(MemberId member, const sys::ExitReport& report) const {
  if (is_forgiven(member, !report.signalled && report.code == 0)) return Roster::End::forgiven;
  const bool refused =
      !report.signalled && board::SubWorkerExit(report.code) == board::SubWorkerExit::bad_schema;
  return refused ? Roster::End::refused : Roster::End::failed;
}

// --- posts ---

bool Supervisor::is_busy(std::uint32_t slot) const {
  return children_[slot] && board_.slot(slot).state.load() == board::SlotState::running;
}

// Whose end tells nothing of the next one: it was told to, or had a configuration that has changed since.
bool Supervisor::is_forgiven(MemberId member, bool ended_well) const {
  if (member == housekeeper())
    return ended_well && board_.header().housekeeper_command.load() == board::Command::leave;
  return tenures_[member].outdated || (ended_well && tenures_[member].told);
}

// Level-triggered: whatever there is too many or too few of, compared with the configuration.
void Supervisor::arrange_posts() {
  std::vector<int> counts;
  for (const config::Group& group : config_.groups) counts.push_back(group.count);
  std::vector<Post> posts(board::kMaxSlots, Post{.group = board::kNoGroup});
  for (std::uint32_t i = 0; i < slots_; ++i)
    posts[i] = {.group = group_of_[i], .vacant = !children_[i], .busy = is_busy(i)};
  for (const Burial& burial : burials_)
    if (burial.member < slots_) posts[burial.member].vacant = false;
  const Arrangement arrangement = arrange(counts, posts);
  for (const std::uint32_t slot : arrangement.dismissed) dismiss(slot);
  for (const auto& [slot, group] : arrangement.engaged) engage(slot, group);
  waiting_posts_ = arrangement.waiting;
}

void Supervisor::engage(std::uint32_t slot, std::uint32_t group) {
  if (slot >= slots_) {
    slots_ = slot + 1;
    group_of_.resize(slots_, board::kNoGroup);
    tenures_.resize(slots_);
    task_cgroups_.grow(slots_);
    board_.header().slots.store(slots_);
  }
  const std::string& name = config_.groups[group].name;
  if (const std::string& former = tenures_[slot].group; !former.empty() && former != name) {
    if (desk_) desk_->reassigned(slot, former);
    board_.clear_counts(slot);
  }
  group_of_[slot] = group;
  tenures_[slot] = {.group = name};
  roster_.want(slot, Clock::now());
}

// First it is nobody's to be woken for work, then it is told: what it was rung for before and does not look
// for is found by the others, who are all rung when the posts have been arranged.
void Supervisor::dismiss(std::uint32_t slot) {
  group_of_[slot] = board::kNoGroup;
  roster_.unwant(slot);
  board_.slot(slot).group.store(board::kNoGroup);
  tell_to_leave(slot);
}

void Supervisor::tell_to_leave(std::uint32_t slot) {
  tenures_[slot].told = true;
  tenures_[slot].told_at = Clock::now();
  board_.slot(slot).command.store(board::Command::leave);
  if (board_.slot(slot).generation.load() != 0) board_.slot(slot).doorbell.ring(board::kRungForCommand);
}

// --- upkeep ---

void Supervisor::upkeep() {
  if (!board_is_sound()) return;
  const auto now = Clock::now();
  if (now - last_upkeep_ > kFrozen) roster_.thawed(now);
  last_upkeep_ = now;
  if (phase_ != Phase::preflight) {
    finish_burials();
    if (waiting_posts_ > 0 && phase_ == Phase::working) arrange_posts();
    reap_strangers();
    replace_outdated();
    spawn_missing();
    kill_overdue();
    check_one_shot();
  }
  check_drained();
  set_timer();
  note_degraded();
  if (desk_) desk_->tend(slots_);
  show();
}

// Nothing can be told to the family by a board that was written over, nor be believed of it. What they hold
// is rescued as of dead workers, by other hosts or by the supervisor that is started next.
bool Supervisor::board_is_sound() {
  try {
    board_.check();
    const bool counts_are_ours =
        board_.header().slots.load() == slots_ &&
        board_.header().permits.load() == static_cast<std::uint32_t>(config_.effective_pool_size());
    if (counts_are_ours) return true;
    throw board::Damaged("its counts");
  } catch (const board::Damaged& damage) {
    spdlog::critical("{}; the whole family is killed, and is to be started anew", damage.what());
  }
  exit_ = Exit::failure;
  phase_ = Phase::draining;
  for (const auto& child : children_)
    if (child) child->process.signal(SIGKILL);
  kill_orphans_of_all();
  loop_.stop();
  return false;
}

// Their destructors kill and reap.
void Supervisor::kill_orphans_of_all() {
  for (auto& child : children_) child.reset();
  kill_orphans(kKillMargin);
}

// In this order, and not before the step in front is done: everything that a dead member had started is dead
// too; its jobs are in a grave; its permits are free and its place is empty.
void Supervisor::finish_burials() {
  if (burials_.empty() && !leftovers_) return;
  for (const Burial& burial : burials_)
    if (burial.member < slots_) task_cgroups_.kill(burial.member);
  const bool nothing_left = kill_orphans();
  leftovers_ = leftovers_ && !nothing_left;
  if (nothing_left) burial_pause_.reset();
  next_burial_ = Clock::now() + burial_pause_.next(sys::chance());
  if (nothing_left) sys::crash_point("supervisor.orphans_killed");
  std::erase_if(burials_, [&](const Burial& burial) {
    const bool rescue = burial.member < slots_ && burial.lease != 0;
    // Who held no lease ran no job, and need not wait for what others have left.
    if (rescue && !nothing_left) return false;
    if (burial.member < slots_) board_.slot(burial.member).lease.store(0);  // the end of its heartbeat
    if (rescue && !board_.fill_grave(burial.member, burial.lease)) return false;
    sys::crash_point("supervisor.grave_filled");
    bury(burial);
    return true;
  });
}

// False when some of them live on for now, or cannot be found out.
bool Supervisor::kill_orphans(std::chrono::milliseconds limit) {
  try {
    const bool none_left = sys::kill_orphans(not_orphans(), limit).left.empty();
    orphan_trouble_.clear();
    return none_left;
  } catch (const std::system_error& error) {
    if (std::exchange(orphan_trouble_, error.what()) != error.what())
      spdlog::error("cannot look for what the dead have left behind, and will try again: {}", error.what());
    return false;
  }
}

// As the reaper of orphans, or as the first process of a container, it is handed the dead of strangers, too.
void Supervisor::reap_strangers() {
  const std::vector<pid_t> ours = [this] {
    std::vector<pid_t> pids;
    for (const auto& child : children_)
      if (child) pids.push_back(child->process.pid());
    return pids;
  }();
  sys::reap_dead(ours);
}

void Supervisor::spawn_missing() {
  for (MemberId member : roster_.to_spawn(Clock::now())) {
    const bool buried =
        std::none_of(burials_.begin(), burials_.end(), [&](const auto& b) { return b.member == member; });
    if (!buried) continue;
    try {
      roster_.spawned(member, Clock::now());
      if (member == housekeeper()) {
        auto replaced = board::Command::leave;  // was meant for the one before
        board_.header().housekeeper_command.compare_exchange_strong(replaced, board::Command::run);
        adopt(member, spawn_housekeeper(family_));
        continue;
      }
      const std::uint32_t generation = board_.reset_slot(member, group_of_[member]);
      if (paused_) board_.slot(member).command.store(board::Command::pause);
      const config::Group& group = config_.groups[group_of_[member]];
      tenures_[member] = {
          .group = group.name, .grace = config_.supervisor.shutdown_grace, .abort_grace = group.abort_grace};
      const SlotRole role{group.name, member, generation, task_cgroups_.of(member)};
      adopt(member, spawn_sub_worker(family_, role), generation);
      sys::crash_point("supervisor.sub_worker_spawned");
    } catch (const std::exception& error) {  // out of processes, descriptors, memory: later, perhaps
      spdlog::error("{}: {}", name_of(member), error.what());
      children_[member].reset();
      roster_.ended(member, Clock::now(), sys::chance());
    }
  }
}

void Supervisor::kill_overdue() {
  const auto overdue = roster_.to_kill(Clock::now(), [this](MemberId member) { return last_beat(member); });
  for (const auto& [member, why] : overdue) {
    if (!children_[member]) continue;
    spdlog::warn("{} (pid {}) is killed: {}", name_of(member), children_[member]->process.pid(), why);
    children_[member]->process.signal(SIGKILL);
    roster_.killed(member);
  }
}

// Everything is worked off when everybody is idle, and is still idle, without a fetched job in between, after
// everybody was rung once more. A new configuration may be one that has more to do.
void Supervisor::check_one_shot() {
  if (!one_shot_ || phase_ != Phase::working || paused_ || pending_) return;
  if (!burials_.empty() || board::has_open_grave(board_) || !everybody_idle()) return;
  std::uint64_t fetched = 0;
  for (std::uint32_t i = 0; i < slots_; ++i) fetched += board_.slot(i).counters.fetched.load();
  if (fetched_when_idle_ == fetched) return drain(board::Command::drain);
  fetched_when_idle_ = fetched;
  ring_everybody(board::kRungForWork);
}

bool Supervisor::everybody_idle() const {
  MemberId idle = 1;  // the housekeeper
  for (const board::SlotView& v : board::view(board_)) {
    if (group_of_[v.slot] == board::kNoGroup) {
      if (children_[v.slot]) return false;
      continue;
    }
    const bool serving = roster_.state(v.slot) == Roster::State::serving;
    if (serving && v.state == board::SlotState::idle && !v.rung) ++idle;
  }
  return idle == roster_.wanted() && waiting_posts_ == 0;
}

void Supervisor::check_drained() {
  if (phase_ != Phase::draining) return;
  const bool sub_workers_gone =
      burials_.empty() &&
      std::none_of(children_.begin(), children_.begin() + slots_, [](const auto& c) { return c != nullptr; });
  if (sub_workers_gone && children_[housekeeper()]) {
    roster_.unwant(housekeeper());
    board_.header().housekeeper_command.store(board::Command::drain);
    board_.header().housekeeper_doorbell.ring(board::kRungForCommand);
  }
  const bool all_gone =
      std::none_of(children_.begin(), children_.end(), [](const auto& child) { return child != nullptr; });
  if (all_gone && (burials_.empty() || Clock::now() >= drain_limit_)) {
    kill_orphans(1s);
    for (const Burial& burial : burials_)
      spdlog::error("lease {} could not be settled: its jobs will be rescued as stalled", burial.lease);
    return loop_.stop();
  }
  // Whoever still lives is stuck. The housekeeper has some time more: what the others leave is for it to
  // settle.
  for (const auto& child : children_) {
    if (!child) continue;
    const auto limit = child->member == housekeeper() ? drain_limit_ + kKillMargin : drain_limit_;
    if (Clock::now() >= limit) child->process.signal(SIGKILL);
  }
}

void Supervisor::set_timer() {
  auto at = Clock::now() + kUpkeepInterval;
  if (const auto deadline = roster_.next_deadline()) at = std::min(at, *deadline);
  if (one_shot_ && phase_ == Phase::working) at = std::min(at, Clock::now() + kOneShotInterval);
  if (!burials_.empty() || leftovers_) at = std::min(at, next_burial_);
  if (const auto next = service_.next()) at = std::min(at, *next);
  timer_.set(std::max(at, Clock::now() + 1ms), [this] { upkeep(); });
}

// --- waking ---

void Supervisor::start_working() {
  phase_ = Phase::working;
  preflight_trouble_.reset();
  upkeep();
  listen();
  if (std::exchange(reload_again_, false)) begin_reload();
}

// Anew, when somebody listens already: to other queues, say.
void Supervisor::listen() {
  listening_.reset();
  if (!config_.database.listen) return;
  sql::ListenOptions options;
  options.url = config_.database.listen_url.empty() ? config_.database.url : config_.database.listen_url;
  options.application_name = "postpone supervisor";
  options.connect_timeout = config_.database.connect_timeout;
  for (const config::Group& group : config_.groups) {
    if (group.queues.empty()) {
      options.queues.clear();
      break;
    }
    options.queues.insert(options.queues.end(), group.queues.begin(), group.queues.end());
  }
  listening_.emplace(loop_, std::move(options),
                     Listening::Handlers{[this](const auto& notification) { on_notification(notification); },
                                         [this] {
                                           spdlog::info("listening");
                                           ring_everybody(board::kRungForWork);
                                         },
                                         [this] { service_.feed_watchdog(Clock::now()); }});
}

void Supervisor::on_notification(const sql::Notification& notification) {
  // A hint, which anybody may give: the housekeeper asks the database which jobs have to stop.
  if (notification.type == sql::Notification::Type::abort_job_requested)
    return board_.header().housekeeper_doorbell.ring(board::kRungForAborts);
  if (notification.scheduled) board_.header().housekeeper_doorbell.ring(board::kRungForWork);
  sys::crash_point("supervisor.notification_heard");
  if (notification.count > 0)
    board::wake(board_, config_.groups_serving(notification.queue), notification.count);
}

void Supervisor::ring_everybody(std::uint32_t reasons) {
  for (std::uint32_t i = 0; i < slots_; ++i)
    if (board_.slot(i).generation.load() != 0) board_.slot(i).doorbell.ring(reasons);
  board_.header().housekeeper_doorbell.ring(reasons);
}

// --- signals ---

void Supervisor::on_signal(int signal_number) {
  switch (signal_number) {
    case SIGHUP:
      return on_reload_signal();
    case SIGUSR1:
      // Told through the board and not by signals: one that comes before its handler would end a child.
      ++board_.header().log_epoch;
      if (sys::reopen_log())
        spdlog::info("the log file was opened again");
      else if (config_.log.file.empty())
        spdlog::info("SIGUSR1: there is no log file to open again");
      return;
    case SIGTSTP:
    case SIGCONT: {
      if (phase_ == Phase::draining) return;
      const bool pause = signal_number == SIGTSTP;
      spdlog::info(pause ? "paused: no further jobs are fetched until SIGCONT" : "resumed");
      paused_ = pause;
      return command_all(pause ? board::Command::pause : board::Command::run);
    }
    default:
      break;
  }
  const bool again = phase_ == Phase::draining;
  spdlog::info("signal {}: {}", signal_number,
               again ? "stopping now" : "draining; a second signal means now");
  drain(again ? board::Command::stop_now : board::Command::drain);
}

void Supervisor::drain(board::Command command) {
  const bool now = command == board::Command::stop_now;
  phase_ = Phase::draining;
  pending_.reset();
  auto grace = now ? 0ms : config_.supervisor.shutdown_grace;
  auto longest_abort = 0ms;
  for (std::uint32_t i = 0; i < slots_ && !now; ++i) {
    if (!children_[i]) continue;
    grace = std::max(grace, tenures_[i].grace);
    longest_abort = std::max(longest_abort, tenures_[i].abort_grace);
  }
  drain_limit_ = Clock::now() + 2 * grace + longest_abort + kKillMargin;
  for (MemberId member = 0; member < roster_.size(); ++member)
    if (member != housekeeper() || now) roster_.unwant(member);
  stop_preflight();
  // Who was to be replaced stays instead: there may be nobody to follow.
  auto replaced = board::Command::leave;
  board_.header().housekeeper_command.compare_exchange_strong(replaced, board::Command::run);
  command_all(command);
  timer_.set(Clock::now(), [this] { upkeep(); });
}

void Supervisor::stop_preflight() {
  if (children_[preflight()]) children_[preflight()]->process.signal(SIGTERM);
}

void Supervisor::command_all(board::Command command) {
  const bool leave = command == board::Command::drain || command == board::Command::stop_now;
  for (std::uint32_t i = 0; i < slots_; ++i) {
    // Who was told to leave stays told.
    if (!leave && tenures_[i].told) continue;
    if (board_.slot(i).generation.load() != 0) board_.slot(i).command.store(command);
  }
  ring_everybody(board::kRungForCommand);
}

// --- telling ---

std::string Supervisor::name_of(MemberId member) const {
  if (member == preflight()) return "preflight";
  if (member == housekeeper()) return "housekeeper";
  return fmt::format("sub-worker {}/{}", tenures_[member].group, member);
}

// One that lies in the future is none: it would keep a silent member from being noticed.
Clock::time_point Supervisor::last_beat(MemberId member) const {
  const auto& beat =
      member < slots_ ? board_.slot(member).heartbeat_ns : board_.header().housekeeper_heartbeat_ns;
  const std::int64_t at_ns = beat.load();
  if (at_ns < 0 || at_ns > board::now_ns()) return {};
  return Clock::time_point(std::chrono::nanoseconds(at_ns));
}

void Supervisor::note_degraded() {
  const MemberId failing = phase_ == Phase::working ? roster_.failing() : 0;
  if (failing > 0 && failing_ == 0)
    spdlog::error("degraded: {} of {} processes do not get ready; they are started again with growing waits",
                  failing, roster_.wanted());
  if (failing == 0 && failing_ > 0 && phase_ == Phase::working) spdlog::info("no longer degraded");
  failing_ = failing;
}

// Who has nobody that serves one of its groups cannot run that group's jobs, however many others there are.
bool Supervisor::can_run_jobs() const {
  if (phase_ != Phase::working || roster_.state(housekeeper()) != Roster::State::serving) return false;
  std::vector<bool> served(config_.groups.size());
  for (std::uint32_t i = 0; i < slots_; ++i)
    if (group_of_[i] != board::kNoGroup && roster_.state(i) == Roster::State::serving)
      served[group_of_[i]] = true;
  return std::find(served.begin(), served.end(), false) == served.end();
}

std::string Supervisor::words() const {
  const char* phase = phase_ == Phase::preflight  ? "waiting for the preflight"
                      : phase_ == Phase::draining ? "draining"
                      : paused_                   ? "paused"
                                                  : "working";
  const std::string degraded = failing_ == 0 ? "" : fmt::format("degraded ({} do not get ready), ", failing_);
  const auto living = std::count_if(children_.begin(), children_.begin() + slots_,
                                    [](const auto& child) { return child != nullptr; });
  return fmt::format("{}{}{}, {} sub-workers", degraded, phase,
                     pending_ ? ", checking a new configuration" : "",
                     phase_ == Phase::working ? roster_.wanted() - 1 : static_cast<MemberId>(living));
}

void Supervisor::show() {
  const std::string line = words();
  sys::set_process_title("supervisor: " + line);
  was_ready_ = was_ready_ || can_run_jobs();
  service_.tell(
      {.ready = was_ready_, .stopping = phase_ == Phase::draining, .stopped_by = drain_limit_, .words = line},
      Clock::now());
}

}  // namespace postpone::supervisor

#include "supervisor/crew/crew.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <memory>
#include <utility>

#include "board/wake.h"
#include "sys/backoff.h"
#include "sys/crash_point.h"
#include "sys/logger.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;

constexpr auto kKillMargin = 5s;  // beyond what members grant themselves when draining
// A member that starts takes the processor away, for some ten milliseconds, from the rescue of what its
// predecessor was running. It comes after the rescue where a sibling has nothing to do. On a quiet machine a job
// has started again after 5 ms, on a busy one after 20.
constexpr auto kRescueFirst = 25ms;
constexpr int kStartsOfOneShot = 4;  // so many that failed in a row: --one-shot does not wait for more

RosterPolicy policy_of(const config::Supervisor& s) {
  return {s.start_deadline, s.subworker_timeout, s.housekeeper_timeout(), s.respawn_backoff,
          s.respawn_backoff_max};
}

}  // namespace

Crew::Crew(Loop& loop, board::Board& board, const config::Config& config, Family family, Handlers handlers)
    : board_(board),
      config_(config),
      family_(std::move(family)),
      handlers_(std::move(handlers)),
      cgroups_(board.slots()),
      roster_(kHousekeeper + 1, policy_of(config.supervisor), Clock::now()),
      slots_(board),
      children_(loop, {[this](MemberId member, const auto& message) { on_message(member, message); },
                       [this](std::string reason) { handlers_.on_reason(std::move(reason)); },
                       [this](board::LimitedTask task) { handlers_.on_limit(std::move(task)); },
                       [this] { handlers_.on_change(); },
                       [this](MemberId member, const Children::End& end) { on_end(member, end); }}),
      burials_(loop, board, slots_, cgroups_, children_, [this] { handlers_.on_change(); }) {
  for (MemberId member = 0; is_sub_worker(member); ++member) roster_.unwant(member);
  arrange_slots();
}

// --- starting ---

void Crew::adopt(MemberId member, Spawned spawned, std::uint32_t generation) {
  const pid_t pid = spawned.process.pid();
  children_.adopt(member, std::move(spawned), generation);
  if (observer_ && member != kPreflight) observer_->on_started(who(member), pid);
}

void Crew::start_preflight() {
  adopt(kPreflight, spawn_preflight(family_));
}

void Crew::start_check(int config_fd) {
  adopt(kPreflight, spawn_preflight_of(family_, config_fd));
  sys::crash_point("supervisor.check_begun");
}

void Crew::start_missing() {
  for (const MemberId member : roster_.to_spawn(Clock::now())) {
    if (burials_.is_open(member)) continue;
    try {
      roster_.spawned(member, Clock::now());
      member == kHousekeeper ? start_housekeeper() : start_sub_worker(member);
    } catch (const std::exception& error) {  // out of processes, descriptors, memory: later, perhaps
      sys::log.error("{}: {}", name_of(member), error.what());
      children_.drop(member);
      roster_.ended(member, Clock::now(), sys::chance());
    }
  }
}

void Crew::start_housekeeper() {
  auto replaced = board::Command::leave;  // was meant for the one before
  board_.header().housekeeper_command.compare_exchange_strong(replaced, board::Command::run);
  adopt(kHousekeeper, spawn_housekeeper(family_, cgroups_.families()));
}

void Crew::start_sub_worker(std::uint32_t slot) {
  const auto group = std::find_if(config_.groups.begin(), config_.groups.end(), [&](const auto& candidate) {
    return board::group_id(candidate.name) == slots_[slot].group;
  });
  const std::uint32_t generation = slots_.begin_incarnation(slot, config_, *group);
  if (paused_) board_.slot(slot).command.store(board::Command::pause);
  const SlotRole role{group->name, slot, generation, cgroups_.of(slot), slots_.ledger(slot)->fd()};
  // There may be a thousand of them. Also when the spawn throws, for want of descriptors.
  const std::shared_ptr<void> close_ledger(nullptr, [&](void*) { slots_.ledger(slot)->close_fd(); });
  adopt(slot, spawn_sub_worker(family_, role), generation);
  sys::crash_point("supervisor.sub_worker_spawned");
}

// --- what members say, and how they end ---

void Crew::on_message(MemberId member, const board::LeashMessage& message) {
  if (message.word == board::LeashWord::leased) roster_.leased(member, message.lease);
  if (message.word == board::LeashWord::started) roster_.started(member);
  if (message.word != board::LeashWord::ready) return;
  roster_.ready(member);
  if (observer_) observer_->on_ready(who(member));
  sys::log.debug("{} (pid {}) is ready", name_of(member), children_.pid(member));
}

void Crew::on_end(MemberId member, const Children::End& end) {
  if (member == kPreflight) return handlers_.on_preflight_end(end.report);
  const bool well = !end.report.signalled && end.report.code == 0;
  if (!well || !draining_)
    sys::log.log(well ? sys::Level::info : sys::Level::warning, "{} (pid {}) ended: {}", name_of(member),
                 end.pid, sys::to_string(end.report));
  if (observer_) observer_->on_ended(who(member), well, sys::to_string(end.report));
  // A sub-worker that ended well has deleted its lease itself; there is nothing to rescue.
  burials_.add({member, well ? 0 : roster_.lease(member), end.generation, end_of(member, end.report)});
  // Only the supervisor writes here now, and wake() rings no vacant slot. Its lease is kept alive until it is
  // buried: as long as something that it had started lives, no other worker may take its job.
  if (is_sub_worker(member)) board_.slot(member).enter(board::SlotState::vacant);
  handlers_.on_change();
}

void Crew::on_buried(const Burial& burial) {
  roster_.ended(burial.member, Clock::now(), sys::chance(), burial.end);
  if (!is_sub_worker(burial.member) || !slots_[burial.member].serves()) return;
  const board::GroupId group = slots_[burial.member].group;
  if (burial.lease != 0 && board::count_sharers(board::view(board_), group) > 0)
    roster_.hold_back(burial.member, Clock::now() + kRescueFirst);
  if (board_.slot(burial.member).doorbell.is_rung_for(board::kRungForWork))
    handlers_.on_unanswered_ring(group);
}

Roster::End Crew::end_of(MemberId member, const sys::ExitReport& report) const {
  if (is_forgiven(member, !report.signalled && report.code == 0)) return Roster::End::forgiven;
  const bool refused =
      !report.signalled && board::SubWorkerExit(report.code) == board::SubWorkerExit::bad_schema;
  return refused ? Roster::End::refused : Roster::End::failed;
}

// An end that says nothing of the next incarnation: this one was commanded to leave, or had a configuration
// that has changed since.
bool Crew::is_forgiven(MemberId member, bool ended_well) const {
  if (member == kHousekeeper)
    return ended_well && board_.header().housekeeper_command.load() == board::Command::leave;
  return slots_[member].outdated || (ended_well && slots_[member].leaving);
}

// --- upkeep ---

void Crew::upkeep() {
  burials_.finish(Clock::now(), [this](const Burial& burial) { on_buried(burial); });
  if (waiting_ > 0 && !draining_) arrange_slots();
  burials_.reap_strangers();
  if (!draining_) replace_outdated();
  start_missing();
  kill_overdue();
}

std::optional<Clock::time_point> Crew::next_upkeep() const {
  const auto deadline = roster_.next_deadline();
  const auto burial = burials_.next();
  return deadline && burial ? std::min(*deadline, *burial) : deadline ? deadline : burial;
}

void Crew::kill_overdue() {
  const auto overdue = roster_.to_kill(Clock::now(), [this](MemberId member) { return last_beat(member); });
  for (const auto& [member, why] : overdue) {
    if (!children_.lives(member)) continue;
    sys::log.warn("{} (pid {}) is killed: {}", name_of(member), children_.pid(member), why);
    children_.signal(member, SIGKILL);
    roster_.killed(member);
  }
}

// A heartbeat from the future is ignored (the board may be written over), or a silent member would never be
// killed.
Clock::time_point Crew::last_beat(MemberId member) const {
  const auto& beat =
      is_sub_worker(member) ? board_.slot(member).heartbeat_ns : board_.header().housekeeper_heartbeat_ns;
  const std::int64_t at_ns = beat.load();
  if (at_ns < 0 || at_ns > board::now_ns()) return {};
  return Clock::time_point(std::chrono::nanoseconds(at_ns));
}

// --- slots ---

bool Crew::is_busy(std::uint32_t slot) const {
  return children_.lives(slot) && board_.slot(slot).state.load() == board::SlotState::running;
}

// Level-triggered: what there is too many or too few of, compared with the configuration.
void Crew::arrange_slots() {
  std::vector<SlotUse> uses(board::kMaxSlots);
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot)
    uses[slot] = {.group = slots_[slot].group,
                  .vacant = !children_.lives(slot) && !burials_.is_open(slot),
                  .busy = is_busy(slot)};
  const Arrangement arrangement = arrange(config_.groups, uses);
  for (const std::uint32_t slot : arrangement.dismissed) {
    roster_.unwant(slot);
    slots_.dismiss(slot);
  }
  for (const auto& [slot, group] : arrangement.engaged) engage(slot, config_.groups[group].name);
  waiting_ = arrangement.waiting;
}

void Crew::engage(std::uint32_t slot, const std::string& group) {
  const std::string former = slot < slots_.size() ? slots_[slot].group_name : "";
  if (!former.empty() && former != group) {
    if (observer_) observer_->on_reassigned(slot, former);
    board_.clear_counts(slot);
  }
  slots_.engage(slot, group);
  cgroups_.grow(slots_.size());
  roster_.want(slot, Clock::now());
}

// --- a changed configuration ---

void Crew::take(const Outdated& outdated) {
  roster_.set_policy(policy_of(config_.supervisor));
  mark(outdated);
  arrange_slots();
  if (outdated.housekeeper) replace_housekeeper();
}

// A member that could not start with the former configuration may be able to with this one, and tries at
// once.
void Crew::mark(const Outdated& outdated) {
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (!outdated.everybody && !outdated.groups.contains(slots_[slot].group_name)) continue;
    slots_.outdate(slot);
    if (slots_[slot].serves() && roster_.state(slot) == Roster::State::absent)
      roster_.want(slot, Clock::now());
  }
}

void Crew::replace_housekeeper() {
  if (roster_.state(kHousekeeper) == Roster::State::absent) roster_.want(kHousekeeper, Clock::now());
  if (!children_.lives(kHousekeeper)) return;
  board_.header().housekeeper_command.store(board::Command::leave);
  board_.header().housekeeper_doorbell.ring(board::kRungForCommand);
}

void Crew::replace_outdated() {
  std::vector<Candidate> candidates;
  bool any = false;
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    const SlotRecord& record = slots_[slot];
    if (!record.serves()) continue;
    const bool serving = children_.lives(slot) && roster_.state(slot) == Roster::State::serving;
    candidates.push_back(
        {slot, record.group, record.outdated, record.leaving, record.leaving_since, serving, is_busy(slot)});
    any |= record.outdated && !record.leaving;
  }
  if (!any) return;
  for (const std::uint32_t slot : to_replace(candidates, Clock::now())) {
    slots_.command_leave(slot);
    sys::crash_point("supervisor.told_to_leave");
  }
}

// --- commands ---

void Crew::command_all(board::Command command) {
  slots_.command_all(command);
  board::ring_all(board_, board::kRungForCommand);
}

void Crew::pause(bool paused) {
  paused_ = paused;
  command_all(paused ? board::Command::pause : board::Command::run);
}

void Crew::drain(board::Command command) {
  const bool now = command == board::Command::stop_now;
  draining_ = true;
  auto grace = now ? 0ms : config_.supervisor.shutdown_grace;
  auto longest_abort = 0ms;
  for (std::uint32_t slot = 0; slot < slots_.size() && !now; ++slot) {
    if (!children_.lives(slot)) continue;
    grace = std::max(grace, slots_[slot].grace);
    longest_abort = std::max(longest_abort, slots_[slot].abort_grace);
  }
  stop_by_ = Clock::now() + 2 * grace + longest_abort + kKillMargin;
  for (MemberId member = 0; member < roster_.size(); ++member)
    if (member != kHousekeeper || now) roster_.unwant(member);
  stop_preflight();
  // A housekeeper that was to be replaced stays instead: a successor may not be started any more.
  auto replaced = board::Command::leave;
  board_.header().housekeeper_command.compare_exchange_strong(replaced, board::Command::run);
  command_all(command);
}

bool Crew::finish_draining() {
  if (living_sub_workers() == 0 && burials_.none() && children_.lives(kHousekeeper)) {
    roster_.unwant(kHousekeeper);
    board_.header().housekeeper_command.store(board::Command::drain);
    board_.header().housekeeper_doorbell.ring(board::kRungForCommand);
  }
  const std::vector<MemberId> living = children_.living();
  if (living.empty() && (burials_.none() || Clock::now() >= stop_by_)) {
    kill_orphans();
    for (const Burial& burial : burials_.open())
      sys::log.error("lease {} could not be settled: its jobs will be rescued as stalled", burial.lease);
    return true;
  }
  // Those that still live are stuck. The housekeeper has some time more, to settle what the others leave.
  for (const MemberId member : living) {
    const auto limit = member == kHousekeeper ? stop_by_ + kKillMargin : stop_by_;
    if (Clock::now() >= limit) children_.signal(member, SIGKILL);
  }
  return false;
}

void Crew::kill_all() {
  children_.signal_all(SIGKILL);
  children_.drop_all();
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) cgroups_.kill(slot);
  if (!burials_.kill_orphans(kKillMargin))
    sys::log.error("some processes that tasks have started live on, and could not be killed");
}

void Crew::kill_orphans() {
  burials_.kill_orphans(1s);
}

// --- how it stands ---

std::uint32_t Crew::living_sub_workers() const {
  const auto living = children_.living();
  return static_cast<std::uint32_t>(std::count_if(living.begin(), living.end(), is_sub_worker));
}

std::optional<Crew::Idleness> Crew::idleness() const {
  if (!burials_.none() || waiting_ > 0) return std::nullopt;
  Idleness found;
  for (MemberId slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].serves() && roster_.state(slot) != Roster::State::serving)
      found.given_up += roster_.failures(slot) >= kStartsOfOneShot ? 1 : 0;
  MemberId idle = 1;  // the housekeeper
  for (const board::SlotView& v : board::view(board_)) {
    if (v.slot >= slots_.size()) continue;  // the board was written over a moment ago
    if (!slots_[v.slot].serves()) {
      if (children_.lives(v.slot)) return std::nullopt;
      continue;
    }
    const bool serving = roster_.state(v.slot) == Roster::State::serving;
    if (serving && v.state == board::SlotState::idle && !v.rung) ++idle;
  }
  if (idle + found.given_up != roster_.wanted()) return std::nullopt;
  return found;
}

std::string Crew::name_of(MemberId member) const {
  if (member == kHousekeeper) return "housekeeper";
  return fmt::format("sub-worker {}/{}", slots_[member].group_name, member);
}

MemberName Crew::who(MemberId member) const {
  return {is_sub_worker(member) ? std::optional(member) : std::nullopt, name_of(member)};
}

}  // namespace postpone::supervisor

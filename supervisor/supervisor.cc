#include "supervisor/supervisor.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

#include "board/wake.h"
#include "sys/crash_point.h"
#include "sys/host.h"
#include "sys/log.h"
#include "sys/logger.h"
#include "sys/oom.h"
#include "sys/process.h"

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;

constexpr auto kUpkeepInterval = 1s;           // heartbeats on the board are looked at so often
constexpr auto kFrozen = 3 * kUpkeepInterval;  // no upkeep for so long: we were not running
constexpr auto kOneShotInterval = 20ms;

std::string identity(const config::Config& config) {
  const std::string name = config.supervisor.name.empty() ? sys::host_name() : config.supervisor.name;
  return fmt::format("{}:{}:{}", name, ::getpid(),
                     std::chrono::system_clock::now().time_since_epoch().count());
}

// When memory runs out the task processes go first, then the sub-workers, and the supervisor last, since it
// replaces both. Returns the score for its children: higher than our own, whether ours could be lowered or
// not.
int be_last_for_the_oom_killer() {
  constexpr int kLowest = -999;  // -1000 would exempt us, and what is exempt gets blamed on others
  constexpr int kLead = 100;
  const int score = sys::oom_score_adj();
  const bool lowered = sys::set_oom_score_adj(std::max(score - kLead, kLowest));
  return lowered ? score : std::min(score + kLead, sys::kHighestOomScoreAdj);
}

Family make_family(const std::string& name, const ConfigurationFile& file, int config_fd, int board_fd) {
  Family family;
  family.program = open_sub_worker_program();
  family.supervisor = name;
  family.config_directory = file.directory;
  family.config_fd = config_fd;
  family.board_fd = board_fd;
  family.database_url = file.overrides.database_url.value_or("");
  family.log_level = file.overrides.log_level.value_or("");
  family.oom_score_adj = be_last_for_the_oom_killer();
  return family;
}

Configuration sealed(Configuration configuration) {
  configuration.seal();
  return configuration;
}

std::uint32_t permits_of(const config::Config& config) {
  return static_cast<std::uint32_t>(config.effective_pool_size());
}

std::int64_t to_ns(Clock::time_point at) {
  return std::chrono::nanoseconds(at.time_since_epoch()).count();
}
std::int64_t to_ns(const std::optional<Clock::time_point>& at) {
  return at ? to_ns(*at) : 0;
}

status::Listen listen_facts(bool wanted, const std::optional<Listening::Facts>& facts) {
  status::Listen listen;
  listen.wanted = wanted;
  if (!facts) return listen;
  listen.state = facts->state;
  listen.since_ns = to_ns(facts->since);
  listen.reconnects = facts->reconnects;
  listen.notifications = facts->notifications;
  listen.last_notification_ns = to_ns(facts->last_notification);
  listen.last_probe_ns = to_ns(facts->last_probe);
  if (facts->failed_at) listen.last_error = status::Trouble{to_ns(*facts->failed_at), facts->failure};
  return listen;
}

}  // namespace

Supervisor::Supervisor(Configuration configuration, Options options)
    : options_(std::move(options)),
      in_force_(sealed(std::move(configuration))),
      timer_(loop_),
      board_(board::Board::create(static_cast<std::uint32_t>(in_force_.config.total_subworkers()),
                                  permits_of(in_force_.config))),
      task_limits_(board_),
      name_(identity(in_force_.config)),
      crew_(loop_, board_, in_force_.config,
            make_family(name_, options_.file, in_force_.memfd.get(), board_.fd()),
            {[this](std::string reason) { on_reason(std::move(reason)); },
             [this](board::LimitedTask task) { task_limits_.add(std::move(task)); },
             [this](const sys::ExitReport& report) { on_preflight_end(report); }, [this] { upkeep(); },
             [this](board::GroupId group) { board::wake_sibling(board_, group); }}),
      waking_(loop_, board_, in_force_.config, [this] { announcer_.feed_watchdog(); }),
      reload_(options_.file, in_force_, reload_handlers()),
      announcer_(options_.service_manager, name_, options_.file.path, [this] { return facts(); }) {}

Exit Supervisor::run() {
  sys::forbid_inspection();  // the family does the same: what tasks of our user could read, they could write
  crew_.take_in_orphans();
  loop_.on_signals({SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGTSTP, SIGCONT},
                   [this](int signal_number) { on_signal(signal_number); });
  sys::log.info("supervisor {} starts: {} sub-workers in {} groups, {} pooled connections", name_,
                crew_.slots().size(), in_force_.config.groups.size(), in_force_.config.effective_pool_size());
  if (!options_.service_manager.problem().empty()) sys::log.warn("{}", options_.service_manager.problem());
  try {
    // Before the preflight, which takes its time while the database is away: people want to see that.
    crew_.set_observer(announcer_.open(loop_, in_force_.config, board_));
  } catch (const status::SocketMistake& mistake) {
    sys::log.critical("{}", mistake.what());
    if (!in_force_.config.log.file.empty()) std::fprintf(stderr, "postpone-supervisor: %s\n", mistake.what());
    return Exit::configuration;
  }
  crew_.start_preflight();
  upkeep();
  loop_.run();
  sys::log.info("supervisor ends");
  return exit_;
}

// --- the preflight ---

void Supervisor::on_reason(std::string reason) {
  if (phase_ == Phase::preflight)
    announcer_.on_preflight_trouble(std::move(reason));
  else
    reload_.on_reason(std::move(reason));
}

void Supervisor::on_preflight_end(const sys::ExitReport& report) {
  const auto status =
      report.signalled ? board::SubWorkerExit::internal_error : board::SubWorkerExit(report.code);
  const bool good = status == board::SubWorkerExit::done;
  if (phase_ == Phase::draining) return upkeep();
  if (phase_ == Phase::working) {
    if (!good) crew_.note_leftovers();  // a task executable that it was asking, perhaps
    reload_.on_checked(report);
    return show();
  }
  if (good) return start_working();
  crew_.kill_orphans();  // as above
  sys::log.error("not started: see above");
  exit_ = status == board::SubWorkerExit::bad_schema ? Exit::schema
          : status == board::SubWorkerExit::bad_task || status == board::SubWorkerExit::usage
              ? Exit::configuration
              : Exit::failure;
  loop_.stop();
}

void Supervisor::start_working() {
  phase_ = Phase::working;
  task_limits_.take();
  announcer_.on_preflight_done();
  upkeep();
  waking_.listen();
  reload_.begin_if_requested();
  show();
}

// --- upkeep ---

void Supervisor::upkeep() {
  if (!board_is_sound()) return;
  const auto now = Clock::now();
  if (now - last_upkeep_ > kFrozen) crew_.note_frozen();
  last_upkeep_ = now;
  if (phase_ != Phase::preflight) {
    crew_.upkeep();
    check_one_shot();
  }
  if (phase_ == Phase::draining && crew_.finish_draining()) loop_.stop();
  set_timer();
  show();
}

// A board that was written over can neither carry commands nor be believed. What its members hold is rescued
// as of dead workers, by other hosts or by the supervisor that is started next.
bool Supervisor::board_is_sound() {
  try {
    board_.check();
    const bool counts_are_ours = board_.header().slots.load() == crew_.slots().size() &&
                                 board_.header().permits.load() == permits_of(in_force_.config);
    if (counts_are_ours) return true;
    throw board::Damaged("its counts");
  } catch (const board::Damaged& damage) {
    sys::log.critical("{}; the whole family is killed, and is to be started anew", damage.what());
  }
  exit_ = Exit::failure;
  phase_ = Phase::draining;
  crew_.kill_all();
  loop_.stop();
  return false;
}

// --one-shot ends when the crew was at rest, the supervisor then rang every sub-worker, and the crew is at
// rest again without having fetched a job. A reload begins this anew: its queues may hold more.
void Supervisor::check_one_shot() {
  if (!options_.one_shot || phase_ != Phase::working || crew_.is_paused() || reload_.is_checking()) return;
  const auto idleness = crew_.idleness();
  if (board::has_open_grave(board_) || !idleness) return;
  std::uint64_t fetched = 0;
  for (std::uint32_t slot = 0; slot < crew_.slots().size(); ++slot)
    fetched += board_.slot(slot).counters.fetched.load();
  if (fetched_when_idle_ == fetched) {
    if (idleness->given_up > 0) {
      sys::log.error("{} sub-workers do not get ready: the jobs of their groups are not worked off",
                     idleness->given_up);
      exit_ = Exit::failure;
    }
    return drain(board::Command::drain);
  }
  fetched_when_idle_ = fetched;
  board::ring_all(board_, board::kRungForWork);
}

void Supervisor::set_timer() {
  auto at = Clock::now() + kUpkeepInterval;
  if (const auto next = crew_.next_upkeep()) at = std::min(at, *next);
  if (options_.one_shot && phase_ == Phase::working) at = std::min(at, Clock::now() + kOneShotInterval);
  if (const auto next = announcer_.next()) at = std::min(at, *next);
  timer_.set(std::max(at, Clock::now() + 1ms), [this] { upkeep(); });
}

void Supervisor::show() {
  announcer_.show({.phase = phase_,
                   .paused = crew_.is_paused(),
                   .checking = reload_.is_checking(),
                   .standing = crew_.standing(),
                   .living_sub_workers = crew_.living_sub_workers(),
                   .slots = crew_.slots().size(),
                   .stop_by = crew_.stop_by()});
}

status::SupervisorFacts Supervisor::facts() const {
  status::SupervisorFacts facts;
  facts.phase = phase_;
  facts.paused = crew_.is_paused();
  facts.standing = crew_.standing();
  facts.task_limits = task_limits_.in_force();
  facts.listen = listen_facts(in_force_.config.database.listen, waking_.facts());
  const auto starting = [this](MemberId member) -> status::Starting {
    // Before the preflight has ended no member is started, and when it ends is not known.
    const bool known = phase_ != Phase::preflight;
    return {crew_.roster().failures(member), known ? to_ns(crew_.roster().spawn_at(member)) : 0};
  };
  for (std::uint32_t slot = 0; slot < crew_.slots().size(); ++slot) {
    const SlotRecord& record = crew_.slots()[slot];
    facts.slots.push_back({record.group_name, record.serves() || crew_.lives(slot), starting(slot)});
  }
  facts.housekeeper = starting(kHousekeeper);
  return facts;
}

// --- reload ---

Reload::Handlers Supervisor::reload_handlers() {
  return {[this] { announcer_.on_reload_begin(); },
          [this](int config_fd) {
            task_limits_.begin();
            crew_.start_check(config_fd);
          },
          [this] { crew_.stop_preflight(); },
          [this](Configuration next, const Change& change) { take(std::move(next), change); },
          [this](bool ok, const std::string& message) {
            announcer_.on_reload_end(ok, message);
            upkeep();
          }};
}

// In this order: what new members will read; which slot serves which group; which members have to go; and in
// the end, unless nothing has changed, all look for work, since a ring may have gone to one that leaves.
void Supervisor::take(Configuration next, const Change& change) {
  in_force_ = std::move(next);
  crew_.set_config_fd(in_force_.memfd.get());
  sys::crash_point("supervisor.configuration_taken");
  const std::uint32_t permits = permits_of(in_force_.config);
  if (board_.header().permits.exchange(permits) != permits) board::ring_for_changed_permits(board_);
  if (change.log_levels) {
    board_.header().log_levels.store(sys::levels_in_a_word(log_options(in_force_.config.log)));
    ++board_.header().log_epoch;
  }
  task_limits_.take();
  crew_.take({.everybody = change.everybody, .housekeeper = change.housekeeper, .groups = change.groups});
  if (change.listening) waking_.listen();
  if (!change.words.empty()) board::ring_all(board_, board::kRungForWork);
  fetched_when_idle_.reset();
}

// --- signals ---

void Supervisor::on_signal(int signal_number) {
  switch (signal_number) {
    case SIGHUP:
      return request_reload();
    case SIGUSR1:
      return reopen_log();
    case SIGTSTP:
    case SIGCONT:
      return pause(signal_number == SIGTSTP);
    default:
      break;
  }
  const bool again = phase_ == Phase::draining;
  sys::log.info("signal {}: {}", signal_number,
                again ? "stopping now" : "draining; a second signal means now");
  drain(again ? board::Command::stop_now : board::Command::drain);
}

void Supervisor::request_reload() {
  if (phase_ == Phase::draining) {
    sys::log.warn("SIGHUP: no configuration is read while draining");
    return;
  }
  reload_.request(phase_ == Phase::working);
  show();
}

// The board passes it on, and not a signal: one that comes before its handler would end a member.
void Supervisor::reopen_log() {
  ++board_.header().log_epoch;
  if (sys::reopen_log())
    sys::log.info("the log file was opened again");
  else if (in_force_.config.log.file.empty())
    sys::log.info("SIGUSR1: there is no log file to open again");
}

void Supervisor::pause(bool paused) {
  if (phase_ == Phase::draining) return;
  sys::log.info(paused ? "paused: no further jobs are fetched until SIGCONT" : "resumed");
  crew_.pause(paused);
}

void Supervisor::drain(board::Command command) {
  phase_ = Phase::draining;
  reload_.abandon();
  crew_.drain(command);
  timer_.set(Clock::now(), [this] { upkeep(); });
}

}  // namespace postpone::supervisor

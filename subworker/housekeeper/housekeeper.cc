#include "subworker/housekeeper/housekeeper.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "subworker/housekeeper/retention.h"
#include "subworker/task/describe.h"
#include "sys/process_title.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds kShortestBeat{50};
constexpr auto kSlice = 1s;  // the heartbeat on the board; bounds what a step of the wall clock can cost
constexpr auto kAskingForTime = 1min;
constexpr auto kLeavingSlice = 100ms;
constexpr auto kLastDuties = 2s;  // ordered to leave: to settle what the last ones left, whatever the grace

// Thrown out of the wait for a task executable's answer: this process is to end.
struct Leaves {};

}  // namespace

Housekeeper::Housekeeper(const config::Config& config, const board::Board& board, Leash leash,
                         std::string families)
    : config_(config),
      board_(board),
      leash_(std::move(leash)),
      log_follower_(board),
      reporter_(board.header(), !config.status.socket.empty(), config.supervisor.heartbeat_interval / 3),
      connection_(connect_options()),
      heartbeats_(config.supervisor, board),
      stops_(config.supervisor, board),
      rescuer_(config, board, reporter_, std::move(families), [this] { duties_.keep_urgent(); }),
      due_jobs_(config, board, server_clock_),
      schedules_(config, server_clock_, reporter_),
      duties_(&Clock::now, [this](const std::string& fault) { reporter_.failed(fault); }) {
  add_duties();
}

sql::ConnectOptions Housekeeper::connect_options() {
  sql::ConnectOptions options;
  options.url = config_.database.url;
  options.application_name = "postpone housekeeper";
  options.connect_timeout = config_.database.connect_timeout;
  // Shorter than any sub-worker can do without heartbeats: a rescue may meet a lock that is kept for long.
  options.statement_timeout =
      std::min(config_.database.statement_timeout, config_.supervisor.heartbeat_interval / 2);
  options.on_tick = [this] { tick(); };
  return options;
}

void Housekeeper::add_duties() {
  using Time = Clock::time_point;
  const sys::Pause soon(
      {kShortestBeat, std::max<Milliseconds>(config_.supervisor.heartbeat_interval / 8, kShortestBeat)});
  const sys::Pause later({kShortestBeat, 5s});
  const auto beat = [this](Time now) {
    if (!heartbeats_.keep(connection_.database(), now)) return;
    reporter_.heartbeat_committed();
    rescuer_.heartbeat_stored(Clock::now());
  };
  const std::function<void()> between = [this] { duties_.keep_urgent(); };
  duties_.add({"heartbeats", beat, [this](Time) { return heartbeats_.due(); }, soon});
  duties_.add({"jobs to stop", [this](Time now) { stops_.keep(connection_.database(), now); },
               [this](Time) { return stops_.due(); }, soon});
  duties_.add({"graves", [this](Time now) { rescuer_.settle_graves(connection_.database(), now); },
               [this](Time) { return rescuer_.next_settling(); }, later});
  duties_.add({"stalled jobs", [this](Time now) { rescuer_.watch_stalled(connection_.database(), now); },
               [this](Time) { return rescuer_.next_watch(); }, later});
  duties_.add({"scheduled jobs",
               [this, between](Time now) { due_jobs_.keep(connection_.database(), now, between); },
               [this](Time) { return due_jobs_.due(); }, later});
  // Should the server's clock be set, or this host sleep, while the connection lasts.
  duties_.add({"the server's clock", [this](Time) { ask_server_time(); },
               [this](Time) { return server_clock_.set_at() + kAskingForTime; }, later});
  duties_.add({"periodic tasks",
               [this, between](Time now) { schedules_.keep(connection_.database(), now, between); },
               [this](Time now) { return schedules_.due(now); }, later});
  duties_.add({"queue depths", [this](Time now) { reporter_.look_at_queues(connection_.database(), now); },
               [this](Time) { return reporter_.next_look(); }, later});
  const auto retention = std::make_shared<Retention>(config_.retention, board_);
  duties_.add({"retention", [this, retention](Time now) { retention->keep(connection_.database(), now); },
               [retention](Time) { return retention->due(); }, later});
}

board::SubWorkerExit Housekeeper::run() {
  leash_.say(board::LeashWord::started, 0);
  while (!ends()) {
    answer_bell();  // first: whatever is rung for from here on is looked after in the next round
    try {
      if (!connection_.is_open()) connect();
      round();
      connection_.rehearse();  // after the first heartbeats, as the next: both take a moment
      learn_schedules();
      connection_.works();
      show("waiting");
      wait(until_next_round());
    } catch (const sql::DatabaseError& error) {
      const auto pause = connection_.failed(error);
      if (!connection_.is_open()) reporter_.disconnected();
      reporter_.failed(error.what());
      wait(pause);
    }
  }
  return board::SubWorkerExit::done;
}

void Housekeeper::answer_bell() {
  const std::uint32_t reasons = board_.header().housekeeper_doorbell.answer();
  if ((reasons & board::kRungForWork) != 0) due_jobs_.look_soon();
  if ((reasons & board::kRungForAborts) != 0) stops_.look_soon(Clock::now());
}

void Housekeeper::connect() {
  show("connecting");
  connection_.open();
  reporter_.connected(connection_.database().server_version());
  ask_server_time();
  const auto now = Clock::now();
  due_jobs_.connected(now);
  stops_.look_soon(now);
  heartbeats_.connected(now);
  rescuer_.connected(now);
  duties_.connected();
  if (!std::exchange(ready_, true)) leash_.say(board::LeashWord::ready, 0);
}

void Housekeeper::ask_server_time() {
  server_clock_.set(connection_.database().server_time(), Clock::now());
}

void Housekeeper::round() {
  show("keeping house");
  duties_.keep_all();
}

void Housekeeper::learn_schedules() {
  try {
    schedules_.learn([this](const config::Group& group) { return ask(group); }, Clock::now());
  } catch (const Leaves&) {
    return;
  }
}

// A task executable may take its time to answer, and the house is kept meanwhile. Throws Leaves, and what
// goes wrong in the house.
libtask::wire::Description Housekeeper::ask(const config::Group& group) {
  return describe(group, [this] {
    tick();
    if (ends()) throw Leaves();
    answer_bell();
    if (until_next_round() == 0ns) round();
  });
}

Housekeeper::Clock::duration Housekeeper::until_next_round() const {
  const auto asking = std::max(Clock::duration(0), schedules_.next_asking() - Clock::now());
  return std::min(duties_.until_next(), asking);
}

void Housekeeper::wait(Clock::duration limit) {
  const bool drained = leaving_.drains();
  const auto until = Clock::now() + (drained ? std::min<Clock::duration>(limit, kLeavingSlice) : limit);
  const auto beat = std::min<Clock::duration>(kSlice, config_.supervisor.housekeeper_timeout() / 4);
  do {
    const auto slice = std::min<Clock::duration>(beat, until - Clock::now());
    if (board_.header().housekeeper_doorbell.wait(std::max<std::chrono::nanoseconds>(slice, 0ns))) return;
    tick();
  } while (Clock::now() < until && leaving_.drains() == drained && !leaving_.is_replaced());
}

void Housekeeper::tick() {
  board_.check();
  board_.header().housekeeper_heartbeat_ns.store(board::now_ns());
  log_follower_.look();
  leaving_.look(leave_signs(board_.header().housekeeper_command.load(), leash_), Clock::now());
}

// A housekeeper that is replaced leaves what is undone on the board and in the database, where the next one
// finds it. One that drains goes last of all: as long as a sub-worker holds a lease, the lease needs
// heartbeats, and what the dead have left wants settling.
bool Housekeeper::ends() {
  leaving_.look(leave_signs(board_.header().housekeeper_command.load(), leash_), Clock::now());
  if (leaving_.is_replaced()) return true;
  if (!leaving_.drains()) return false;
  if (leash_.supervisor_gone()) heartbeats_.disown_silent();
  const bool nothing_left = heartbeats_.leases().empty() && !board::has_open_grave(board_);
  return nothing_left ||
         leaving_.has_drained_for(std::max<Clock::duration>(config_.supervisor.shutdown_grace, kLastDuties),
                                  Clock::now());
}

void Housekeeper::show(const char* activity) {
  sys::set_process_title(fmt::format("housekeeper: {}", activity));
}

}  // namespace postpone::subworker

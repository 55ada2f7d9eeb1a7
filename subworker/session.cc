#include "subworker/session.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "subworker/reconnecting.h"
#include "sys/crash_point.h"
#include "sys/log.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr auto kShortestWait =
    20ms;  // a connection that was lost while idle is most often to be had again at once
constexpr auto kWaitSlice = 200ms;
constexpr auto kFairWait = 100ms;  // a new connection costs some 5 ms
constexpr auto kHandOver = 20ms;
constexpr std::int64_t kAskWaitedEveryNs = 100'000'000;
constexpr const char* kForeignKeyViolation = "23503";

// Is it the data of the outcome that the server does not take (and not who we are, or what is installed)?
bool is_refusal(const sql::DatabaseError& error) {
  const std::string& state = error.sqlstate();
  return state.starts_with("22") || state.starts_with("23") || state.starts_with("54");
}

sql::OutcomeTexts texts(const std::vector<KeptOutcome>& outcomes) {
  sql::OutcomeTexts texts;
  for (const KeptOutcome& outcome : outcomes) texts.push_back(outcome.text);
  return texts;
}

bool contains(const std::vector<sql::Recorded>& recorded, sql::JobId job_id) {
  return std::any_of(recorded.begin(), recorded.end(), [&](const auto& r) { return r.job_id == job_id; });
}

}  // namespace

Session::Session(const config::Config& config, const config::Group& group, const board::Board& board,
                 Identity identity, Hooks hooks)
    : config_(config),
      group_(group),
      board_(board),
      identity_(std::move(identity)),
      hooks_(std::move(hooks)),
      slot_(board.slot(identity_.slot)),
      backoff_(kShortestWait, longest_reconnect_wait(board.header().slots.load())) {}

std::optional<sql::FinishedAndFetched> Session::visit(const std::vector<KeptOutcome>& outcomes,
                                                      int max_jobs) {
  be_fair();
  std::vector<KeptOutcome> left = outcomes;
  std::vector<sql::Recorded> settled;
  for (;;) {
    if (!take_permit(!left.empty())) return std::nullopt;
    slot_.enter(board::SlotState::looking);
    // Told to leave while it waited or connected: what is kept is recorded, and nothing more is fetched.
    int wanted = max_jobs;
    try {
      if (!manager_) connect();
      if (lease_out_of_sight_) renew_lease();
      if (worker_id_ != 0 && !doubtful_lease_ && slot_.lost_lease.load() == worker_id_) note_lost_lease();
      if (doubtful_lease_) {
        settled = settle(left);
        left.clear();
      }
      ensure_lease();
      // Of short jobs a sample is enough: the question costs planning and an index probe. Without a status
      // socket nobody would see the answer.
      if (hooks_.gives_up(false)) wanted = 0;
      const bool ask_waited = !config_.status.socket.empty() && board::now_ns() >= next_waited_ns_;
      auto answer = manager_->finish_and_fetch(worker_id_, texts(left),
                                               {group_.queues, worker_id_, wanted, ask_waited});
      if (ask_waited && !answer.fetched.jobs.empty()) next_waited_ns_ = board::now_ns() + kAskWaitedEveryNs;
      sys::crash_point("sub_worker.exchange_committed");
      answer.recorded.insert(answer.recorded.begin(), settled.begin(), settled.end());
      note_end_of_outage();
      return answer;
    } catch (const sql::DatabaseError& error) {
      handle(error, !left.empty(), wanted);
      if (!hooks_.gives_up(!left.empty())) continue;
      if (settled.empty()) return std::nullopt;
      return sql::FinishedAndFetched{settled, {}};  // so that they are not sent again, under another lease
    }
  }
}

// Settles a doubtful lease and the outcomes that belong to it. Safe to be repeated at every point: a rescue
// that was done before finds no row, and outcomes that were recorded before are recognised.
std::vector<sql::Recorded> Session::settle(const std::vector<KeptOutcome>& outcomes) {
  sql::RescueRequest rescue;
  rescue.worker_id = *doubtful_lease_;
  rescue.outcomes = texts(outcomes);
  rescue.running = std::vector<sql::JobId>{};  // nothing runs: what we do not know was never started
  rescue.message = "the answer to a fetch was lost";
  std::vector<sql::Recorded> recorded = manager_->rescue_worker(rescue);
  sql::OutcomeTexts left;
  for (const KeptOutcome& outcome : outcomes)
    if (!contains(recorded, outcome.job_id)) left.push_back(outcome.text);
  if (!left.empty()) {
    const auto rest = manager_->finish_and_fetch(*doubtful_lease_, left, {}).recorded;
    recorded.insert(recorded.end(), rest.begin(), rest.end());
  }
  doubtful_lease_.reset();
  worker_id_ = 0;
  return recorded;
}

void Session::ensure_lease() {
  if (worker_id_ != 0) return;
  leased_since_ns_ = board::boot_ns();
  worker_id_ = manager_->register_worker(
      {identity_.supervisor, identity_.host, identity_.name, static_cast<int>(::getpid())});
  sys::crash_point("sub_worker.lease_registered");
  slot_.worker_id.store(worker_id_);
  hooks_.on_lease(worker_id_);
}

// After trouble with the connection a lease may have been silent for so long that its holder counts as fenced
// (or was rescued by somebody). Said before the next job is fetched, as that would be killed at once.
void Session::renew_lease() {
  const auto asked = board::boot_ns();
  if (worker_id_ != 0 && !doubtful_lease_) {
    if (manager_->heartbeat({worker_id_}).empty()) {
      note_lost_lease();
    } else {
      leased_since_ns_ = asked;
    }
  }
  lease_out_of_sight_ = false;
}

// Our worker's row is gone: somebody held us for dead. What we have done since is settled under the old
// lease.
void Session::note_lost_lease() {
  spdlog::warn("lease {} is gone (somebody held this sub-worker for dead): taking a new one", worker_id_);
  doubtful_lease_ = worker_id_;
}

void Session::handle(const sql::DatabaseError& error, bool outcomes_sent, int max_jobs) {
  switch (error.remedy()) {
    case sql::Remedy::reconnect:
      if (manager_ && worker_id_ != 0 && max_jobs > 0 && error.leaves_doubt()) doubtful_lease_ = worker_id_;
      lease_out_of_sight_ = true;
      give_up_connection();
      break;
    case sql::Remedy::wait:
      lease_out_of_sight_ = true;  // nobody's heartbeats are stored either, most likely
      break;
    case sql::Remedy::retry:
      break;
    case sql::Remedy::conflict:
    case sql::Remedy::bug:
      if (error.sqlstate() == kForeignKeyViolation && worker_id_ != 0) return note_lost_lease();
      if (outcomes_sent && is_refusal(error)) throw OutcomeRefused(error.what());
      // Who still has something to store waits for whatever it is to be mended; who has not lets the
      // supervisor know.
      if (!outcomes_sent) throw error;
      break;
  }
  const std::string kept = outcomes_sent ? "; the outcome is kept" : "";
  const std::string line =
      error.remedy() == sql::Remedy::retry ? "" : outage_.failed(error.what() + kept, board::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).warn("database: {}", line);
  wait(backoff_.next(sys::chance()), outcomes_sent);
}

void Session::note_end_of_outage() {
  backoff_.reset();
  const std::string line = outage_.ended(board::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).info("the database {}", line);
}

// A ring for work ends it soon: the supervisor's own connection is back, so ours may be too. Whatever else
// rings is answered by the look for work that follows.
void Session::wait(std::chrono::milliseconds limit, bool pending) {
  auto until = board::Clock::now() + limit;
  while (board::Clock::now() < until && !hooks_.gives_up(pending)) {
    slot_.doorbell.wait(std::min<std::chrono::nanoseconds>(kWaitSlice, until - board::Clock::now()));
    if ((slot_.doorbell.answer() & board::kRungForWork) != 0) {
      const auto spread = wait_after_ring(board_.header().slots.load(), sys::chance());
      until = std::min(until, board::Clock::now() + spread);
    }
    hooks_.on_tick();
  }
}

bool Session::take_permit(bool pending) {
  if (connection_is_surplus()) give_up_connection();
  while (!permit_) {
    permit_ = board::Permit::try_take(board_, identity_.slot, identity_.generation);
    if (permit_) break;
    // Say that we wait before the last try: whoever frees a permit after it then sees us.
    if (slot_.state.load() != board::SlotState::waiting_for_permit)
      slot_.enter(board::SlotState::waiting_for_permit);  // once: how long we have waited counts
    permit_ = board::Permit::try_take(board_, identity_.slot, identity_.generation);
    if (permit_) break;
    board::ask_idle_holder_for_permit(board_);
    slot_.doorbell.wait(kWaitSlice);
    slot_.doorbell.answer();
    hooks_.on_tick();
    // The permit that we were rung for, perhaps: try before giving up, so that it is not left lying.
    permit_ = board::Permit::try_take(board_, identity_.slot, identity_.generation);
    if (!permit_ && hooks_.gives_up(pending)) return false;
  }
  return true;
}

// With fewer permits than sub-workers, short jobs would keep a connection for ever. Somebody who has waited
// for long gets ours: give it up, and let the one who was rung take it before we ask for it again.
void Session::be_fair() {
  if (!permit_ || board::longest_wait_for_permit(board_) < kFairWait) return;
  give_up_connection();
  slot_.enter(board::SlotState::waiting_for_permit);
  slot_.doorbell.wait(kHandOver);
  slot_.doorbell.answer();
}

void Session::connect() {
  sql::ConnectOptions options;
  options.url = config_.database.url;
  options.application_name = "postpone sub-worker " + identity_.name;
  options.connect_timeout = config_.database.connect_timeout;
  options.statement_timeout = config_.database.statement_timeout;
  options.on_tick = hooks_.on_tick;
  manager_.emplace(sql::JobManager::connect(options));
}

void Session::give_up_connection() {
  manager_.reset();
  permit_.reset();
}

bool Session::leave() {
  if (worker_id_ == 0) return true;
  if (doubtful_lease_ || !take_permit(true)) return false;
  try {
    if (!manager_) connect();
    manager_->unregister_worker(worker_id_);
    sys::crash_point("sub_worker.lease_deleted");
  } catch (const sql::DatabaseError& error) {
    spdlog::warn("cannot delete lease {}: {}; the housekeeper will", worker_id_, error.what());
    return false;
  }
  worker_id_ = 0;
  slot_.worker_id.store(0);
  give_up_connection();
  return true;
}

}  // namespace postpone::subworker

#include "subworker/worker/session.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "subworker/worker/reconnecting.h"
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
// How often an error that does not name the data is met before the row at hand is held to be at fault; and,
// unless the application has raised it, for how long: a schema that is changed, a privilege that is missing
// for a moment.
constexpr int kPatience = 6;
constexpr auto kLongPatience = 30s;
// How often a conflict with others (a deadlock, a serialization failure) is met before it is taken for
// another error.
constexpr int kConflicts = 10;

// Is it the data that the server does not take (and not who we are, or what is installed)?
bool names_data(const sql::DatabaseError& error) {
  const std::string& state = error.sqlstate();
  return state.starts_with("22") || state.starts_with("23") || state.starts_with("54");
}

bool was_raised(const sql::DatabaseError& error) {
  return error.sqlstate().starts_with("P0");
}

bool all_are_left_to_people(const std::vector<KeptOutcome>& outcomes) {
  return std::ranges::all_of(outcomes, &KeptOutcome::left_to_people);
}

sql::OutcomeTexts texts(const std::vector<KeptOutcome>& outcomes) {
  sql::OutcomeTexts texts;
  texts.reserve(outcomes.size());
  for (const KeptOutcome& outcome : outcomes) texts.push_back(outcome.text);
  return texts;
}

bool contains(const std::vector<sql::Recorded>& recorded, sql::JobId job_id) {
  return std::any_of(recorded.begin(), recorded.end(), [&](const auto& r) { return r.job_id == job_id; });
}

void append(std::vector<sql::Recorded>& recorded, const std::vector<sql::Recorded>& more) {
  recorded.insert(recorded.end(), more.begin(), more.end());
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
      backoff_(kShortestWait, longest_reconnect_wait(board.slots())) {}

std::optional<Visit> Session::visit(const std::vector<KeptOutcome>& outcomes, int max_jobs) {
  be_fair();
  Errand errand;
  errand.left = outcomes;
  errand.max_jobs = max_jobs;
  const bool answered = sys::retry(
      backoff_, [&] { return try_once(errand); },
      [&](std::chrono::milliseconds limit) { return wait(limit, !errand.left.empty()); });
  if (answered) {
    note_end_of_outage();
    return std::move(errand.answer);
  }
  // What was settled before it gave up must not be sent again, under another lease.
  if (errand.answer.recorded.empty() && errand.answer.refused.empty()) return std::nullopt;
  return std::move(errand.answer);
}

sys::Tried Session::try_once(Errand& errand) {
  if (!take_permit(!errand.left.empty())) return sys::Tried::again;
  slot_.enter(board::SlotState::looking);
  int wanted = errand.max_jobs;
  try {
    prepare(errand);
    // Told to leave while it waited or connected: what is kept is recorded, and nothing more is fetched.
    if (hooks_.gives_up(false)) wanted = 0;
    if (errand.one_by_one) {
      record_one_by_one(errand);
      return sys::Tried::done;
    }
    if (errand.apart && !errand.left.empty()) exchange(errand, 0);
    if (errand.around && wanted > 0) return fetch_around(errand);
    exchange(errand, wanted);
    return sys::Tried::done;
  } catch (const sql::DatabaseError& error) {
    return failed(error, errand, wanted);
  }
}

// Permit in hand: a connection, and a lease that is known to be good.
void Session::prepare(Errand& errand) {
  if (!manager_) connect();
  if (lease_out_of_sight_) renew_lease();
  if (lease_ != 0 && !doubtful_lease_) {
    if (slot_.lost_lease.load() == lease_) note_lost_lease();
    // Nothing else frees the lease of an outcome that cannot be recorded.
    if (std::ranges::any_of(errand.left, &KeptOutcome::left_to_people)) doubtful_lease_ = lease_;
  }
  if (doubtful_lease_) settle(errand);
  ensure_lease();
}

void Session::exchange(Errand& errand, int max_jobs) {
  const sql::FetchRequest request = fetch_request(max_jobs);
  auto done = manager_->finish_and_fetch(lease_, texts(errand.left), request);
  if (request.ask_waited && !done.fetched.jobs.empty()) next_waited_ns_ = board::now_ns() + kAskWaitedEveryNs;
  sys::crash_point("sub_worker.exchange_committed");
  if (max_jobs > 0) fetch_outage_.ended(board::Clock::now());
  append(errand.answer.recorded, done.recorded);
  errand.answer.fetched = std::move(done.fetched);
  errand.left.clear();
}

// Of short jobs a sample is enough to tell how long they have waited: the question costs planning and an
// index probe. Without a status socket the answer would be told to no reader.
sql::FetchRequest Session::fetch_request(int max_jobs) {
  sql::FetchRequest request;
  request.queues = group_.queues;
  request.worker_id = lease_;
  request.max_jobs = max_jobs;
  request.ask_waited = !config_.status.socket.empty() && board::now_ns() >= next_waited_ns_;
  PassedOver::List passed_over = passed_over_.list(PassedOver::Clock::now());
  request.passed_over = std::move(passed_over.jobs);
  request.passed_over_tasks = std::move(passed_over.tasks);
  return request;
}

// Each outcome in a transaction of its own, so that one that is refused does not keep the others from being
// stored.
void Session::record_one_by_one(Errand& errand) {
  while (!errand.left.empty()) {
    const KeptOutcome& next = errand.left.front();
    try {
      append(errand.answer.recorded, manager_->finish_and_fetch(lease_, {next.text}, {}).recorded);
    } catch (const sql::DatabaseError& error) {
      const bool for_others = error.remedy() == sql::Remedy::retry && errand.conflicts < kConflicts;
      const bool passing = error.remedy() == sql::Remedy::reconnect || error.remedy() == sql::Remedy::wait;
      if (passing || for_others || sql::says_lease_is_gone(error)) throw;
      errand.answer.refused.push_back({next.job_id, error.what()});
    }
    errand.left.erase(errand.left.begin());
  }
}

sys::Tried Session::fetch_around(Errand& errand) {
  sql::FetchedAround around = manager_->fetch_around(fetch_request(1));
  for (const sql::RefusedJob& refused : around.refused) tell_refused(refused);
  errand.answer.fetched = std::move(around.fetched);
  if (!around.refused.empty()) {
    // There may be more behind so many.
    return errand.answer.fetched.jobs.empty() ? sys::Tried::again : sys::Tried::done;
  }
  // The fetch as a whole is at fault, then, and no row: without a word it would only be slow.
  const std::string line = fetch_outage_.failed(
      "the fetch fails, though no single job is at fault: " + errand.fetch_error, board::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).error("database: {}", line);
  return sys::Tried::done;
}

void Session::tell_refused(const sql::RefusedJob& refused) {
  const sql::Job& job = refused.job;
  const PassedOver::News news = passed_over_.add(job, PassedOver::Clock::now(), sys::chance());
  const sys::LogFields fields({{"job", job.id}, {"task", job.task}, {"queue", job.queue}});
  auto& log = sys::log_of(sys::Component::job);
  if (news == PassedOver::News::job)
    log.error(
        "job {} (task {}, queue {}) cannot be started and is passed over for a while: the database refuses "
        "it: {}",
        job.id, job.task, job.queue, refused.reason);
  if (news == PassedOver::News::task)
    log.error(
        "job {} and many others of task {} cannot be started: all jobs of that task are passed over for a "
        "while: {}",
        job.id, job.task, refused.reason);
}

// Settles a doubtful lease and the outcomes that belong to it. Safe to be repeated at every point: a rescue
// that was done before finds no row, and outcomes that were recorded before are recognised.
void Session::settle(Errand& errand) {
  sql::RescueRequest rescue;
  rescue.worker_id = *doubtful_lease_;
  rescue.running = std::vector<sql::JobId>{};  // nothing runs: what we do not know was never started
  rescue.message = "its lease was given up";
  sql::OutcomeTexts late;
  for (const KeptOutcome& outcome : errand.left) {
    if (!outcome.left_to_people) {
      rescue.outcomes.push_back(outcome.text);
      continue;
    }
    rescue.running->push_back(outcome.job_id);
    rescue.action = sql::StalledAction::report;
    rescue.message = "it has ended, and the database refuses to record how: " + sql::storable(outcome.why);
  }
  append(errand.answer.recorded, manager_->rescue_worker(rescue));
  for (const KeptOutcome& outcome : errand.left) {
    if (contains(errand.answer.recorded, outcome.job_id)) continue;
    if (!outcome.left_to_people)
      late.push_back(outcome.text);
    else  // an earlier rescue has decided it: ours, whose answer was lost, or that of another host
      errand.answer.recorded.push_back({outcome.job_id, sql::Disposition::gone, {}, sql::JobStatus::todo});
  }
  if (!late.empty())
    append(errand.answer.recorded, manager_->finish_and_fetch(rescue.worker_id, late, {}).recorded);
  errand.left.clear();
  doubtful_lease_.reset();
  lease_ = 0;
}

void Session::ensure_lease() {
  if (lease_ != 0) return;
  leased_since_ns_ = board::boot_ns();
  lease_ = manager_->register_worker(
      {identity_.supervisor, identity_.host, identity_.name, static_cast<int>(::getpid())});
  sys::crash_point("sub_worker.lease_registered");
  slot_.lease.store(lease_);
  hooks_.on_lease(lease_);
}

// After trouble with the connection a lease may have been silent for so long that its holder counts as fenced
// (or was rescued by somebody). Said before the next job is fetched, as that would be killed at once.
void Session::renew_lease() {
  const auto asked = board::boot_ns();
  if (lease_ != 0 && !doubtful_lease_) {
    const sql::Heartbeats heartbeats = manager_->heartbeat({lease_});
    if (!heartbeats.stored.empty())
      leased_since_ns_ = asked;
    else if (heartbeats.locked.empty())
      note_lost_lease();
  }
  lease_out_of_sight_ = false;
}

// Our worker's row is gone: somebody held us for dead. What we have done since is settled under the old
// lease.
void Session::note_lost_lease() {
  spdlog::warn("lease {} is gone (somebody held this sub-worker for dead): taking a new one", lease_);
  doubtful_lease_ = lease_;
}

sys::Tried Session::failed(const sql::DatabaseError& error, Errand& errand, int max_jobs) {
  const bool pending = !errand.left.empty();
  switch (error.remedy()) {
    case sql::Remedy::reconnect: {
      // What may still be obeyed when we have gone on: a fetch, and a release, which fits the next run as
      // well.
      const bool dangerous = max_jobs > 0 || std::ranges::any_of(errand.left, &KeptOutcome::releases);
      if (manager_ && lease_ != 0 && dangerous && error.leaves_doubt()) doubtful_lease_ = lease_;
      lease_out_of_sight_ = true;
      give_up_connection();
      break;
    }
    case sql::Remedy::wait:
      lease_out_of_sight_ = true;  // no heartbeats are stored either, most likely
      break;
    case sql::Remedy::retry:
      if (++errand.conflicts < kConflicts) return sys::Tried::again;  // most often it goes well at once
      if (doubtful_lease_) break;
      return refused(error, errand, max_jobs);
    case sql::Remedy::conflict:
    case sql::Remedy::bug:
      return refused(error, errand, max_jobs);
  }
  say(error.what(), pending);
  return sys::Tried::again;
}

// An error that waiting does not mend by itself: what is it about?
sys::Tried Session::refused(const sql::DatabaseError& error, Errand& errand, int max_jobs) {
  if (lease_ != 0 && !doubtful_lease_ && sql::says_lease_is_gone(error)) {
    note_lost_lease();
    return sys::Tried::again;
  }
  const bool pending = !errand.left.empty();
  if (!pending && !doubtful_lease_ && max_jobs > 0 && !errand.around) {
    errand.around = true;
    errand.fetch_error = error.what();
    return sys::Tried::again;
  }
  if (pending && !doubtful_lease_ && max_jobs > 0 && !errand.apart) {
    errand.apart = true;
    return sys::Tried::again;
  }
  if (pending || doubtful_lease_) return outcomes_refused(error, errand);
  if (error.remedy() != sql::Remedy::retry)
    throw error;  // nothing is to be stored: the supervisor is to know
  say(error.what(), false);
  return sys::Tried::again;
}

// The outcomes were refused by themselves, or a doubtful lease cannot be settled with them.
sys::Tried Session::outcomes_refused(const sql::DatabaseError& error, Errand& errand) {
  // Before there is a connection, an error tells who we are or how we come in, and nothing of rows.
  if (!manager_ || (!names_data(error) && is_patient(error, errand))) {
    say(error.what(), !errand.left.empty());
    return sys::Tried::again;
  }
  if (!doubtful_lease_) {
    errand.one_by_one = true;
    return sys::Tried::again;
  }
  if (all_are_left_to_people(errand.left)) {
    abandon_lease(errand, error.what());
    return sys::Tried::again;
  }
  // The lease stays in doubt, until the outcomes have forms with which it can be settled.
  for (const KeptOutcome& outcome : errand.left)
    if (!outcome.left_to_people) errand.answer.refused.push_back({outcome.job_id, error.what()});
  return sys::Tried::done;
}

// May an error that does not name the data still pass?
bool Session::is_patient(const sql::DatabaseError& error, Errand& errand) {
  const auto now = board::Clock::now();
  if (errand.refusals++ == 0) errand.first_refusal = now;
  return errand.refusals < kPatience || (!was_raised(error) && now - errand.first_refusal < kLongPatience);
}

// The lease cannot even be given up: the database refuses to let its jobs go. It gets no heartbeats from now
// on, its jobs stay in `doing` with their locks, and are rescued as those of any silent worker once the
// database allows it.
void Session::abandon_lease(Errand& errand, const std::string& why) {
  spdlog::error("lease {} cannot be given up and is left behind with its jobs: {}", *doubtful_lease_, why);
  for (const KeptOutcome& outcome : errand.left)
    errand.answer.recorded.push_back({outcome.job_id, sql::Disposition::reported, {}, sql::JobStatus::doing});
  errand.left.clear();
  errand.refusals = 0;
  doubtful_lease_.reset();
  lease_ = 0;
}

void Session::say(const std::string& what, bool pending) {
  const std::string line =
      outage_.failed(what + (pending ? "; the outcome is kept" : ""), board::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).warn("database: {}", line);
}

void Session::note_end_of_outage() {
  const std::string line = outage_.ended(board::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).info("the database {}", line);
}

// A ring for work ends it soon: the supervisor's own connection is back, so ours may be too. But only every
// other wait: however many jobs come in while the database refuses us, the tries stay as far apart as the
// backoff wants. Whatever else rings is answered by the look for work that follows. False when there is no
// point in going on.
bool Session::wait(std::chrono::milliseconds limit, bool pending) {
  // What somebody else locks may keep us here for hours, with a connection that others wait for.
  if (board::someone_waits_for_permit(board_)) give_up_connection();
  auto until = board::Clock::now() + limit;
  const bool may_be_cut = !std::exchange(wait_was_cut_, false);
  while (board::Clock::now() < until && !hooks_.gives_up(pending)) {
    slot_.doorbell.wait(std::min<std::chrono::nanoseconds>(kWaitSlice, until - board::Clock::now()));
    if ((slot_.doorbell.answer() & board::kRungForWork) != 0 && may_be_cut && !wait_was_cut_) {
      const auto spread = wait_after_ring(board_.slots(), sys::chance());
      until = std::min(until, board::Clock::now() + spread);
      wait_was_cut_ = true;
    }
    hooks_.on_tick();
  }
  return !hooks_.gives_up(pending);
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
  if (lease_ == 0) return true;
  if (doubtful_lease_ || !take_permit(true)) return false;
  try {
    if (!manager_) connect();
    manager_->unregister_worker(lease_);
    sys::crash_point("sub_worker.lease_deleted");
  } catch (const sql::DatabaseError& error) {
    spdlog::warn("cannot delete lease {}: {}; the housekeeper will", lease_, error.what());
    return false;
  }
  lease_ = 0;
  slot_.lease.store(0);
  give_up_connection();
  return true;
}

}  // namespace postpone::subworker

#include "subworker/worker/session.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "board/wake.h"
#include "subworker/worker/reconnecting.h"
#include "sys/crash_point.h"
#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// A connection that was lost while idle is most often to be had again at once.
constexpr auto kShortestWait = 20ms;
constexpr auto kWaitSlice = 200ms;
constexpr std::int64_t kAskWaitedEveryNs = 100'000'000;

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
      connection_(board, identity_, [this] { return connect(); },
                  {.on_tick = hooks_.on_tick, .gives_up = hooks_.gives_up}),
      group_fetches_(board, slot_, group.queues),
      backoff_(kShortestWait, longest_reconnect_wait(board.slots())) {}

std::optional<Visit> Session::visit(std::vector<SentOutcome> outcomes, const Wanted& wanted) {
  connection_.be_fair();
  VisitPlan plan(std::move(outcomes), wanted);
  const bool answered = sys::retry(
      backoff_, [&] { return try_once(plan); },
      [&](std::chrono::milliseconds limit) { return wait(limit, plan.is_pending()); });
  if (answered) outage_.ended();
  // What was settled before it gave up must not be sent again, under another lease.
  const bool is_settled = !plan.answer.recorded.empty() || !plan.answer.refused.empty();
  if (!answered && !is_settled) return std::nullopt;
  return std::move(plan.answer);
}

void Session::lend_connection() {
  const bool wanted = connection_.is_connected() && board::someone_waits_for_permit(board_);
  if (wanted || connection_.is_surplus()) connection_.give_up();
}

void Session::rehearse() {
  try {
    database().rehearse_run();
  } catch (const sql::DatabaseError& error) {
    if (error.remedy() == sql::Remedy::reconnect) {
      lease_.trouble();
      connection_.give_up();
      return say(error.what(), false);
    }
  }
  // Not before: wake() rings the warm first, and this one was busy. Also where the database refuses: it would
  // again.
  slot_.warm.store(1);
}

sys::Tried Session::try_once(VisitPlan& plan) {
  if (!connection_.take_permit(plan.is_pending())) return sys::Tried::again;
  slot_.enter(board::SlotState::looking);
  int wanted = plan.max_jobs;
  try {
    prepare(plan);
    // Ordered to leave while it waited or connected: what is held is recorded, and nothing more is fetched.
    if (hooks_.gives_up(false)) wanted = 0;
    if (plan.way() == VisitPlan::Way::one_by_one) record_one_by_one(plan);
    if (!plan.answer.refused.empty()) return sys::Tried::done;
    if (plan.way() == VisitPlan::Way::record_first && plan.is_pending()) exchange(plan, 0);
    if (plan.way() == VisitPlan::Way::fetch_past_refused && wanted > 0) return fetch_past_refused(plan);
    exchange(plan, wanted);
    return sys::Tried::done;
  } catch (const sql::DatabaseError& error) {
    return failed(error, plan, wanted);
  }
}

// Permit in hand: a connection, and a lease that is known to be good.
void Session::prepare(VisitPlan& plan) {
  connection_.open();
  if (lease_.is_out_of_sight()) renew_lease();
  if (lease_.is_trusted()) {
    if (slot_.lost_lease.load() == lease_.id()) doubt_lost_lease();
    // Nothing else frees the lease of an outcome that cannot be recorded.
    if (plan.leaves_to_people()) lease_.doubt();
  }
  if (lease_.is_doubtful()) settle(plan);
  ensure_lease();
}

void Session::exchange(VisitPlan& plan, int max_jobs) {
  sql::FetchRequest request = fetch_request(max_jobs);
  request.may_claim = true;
  request.slow_tasks = plan.slow_tasks;
  if (max_jobs > 0) group_fetches_.begin(request, plan.from_top, board::now_ns());
  const auto asked = board::Clock::now();
  auto done = [&] {
    try {
      return database().finish_and_fetch(lease_.id(), ended(plan.left), request);
    } catch (...) {
      if (max_jobs > 0) group_fetches_.failed(board::now_ns());
      throw;
    }
  }();
  if (max_jobs > 0) group_fetches_.ended(request, done.fetched, board::now_ns());
  if (request.ask_waited && !done.fetched.jobs.empty()) next_waited_ns_ = board::now_ns() + kAskWaitedEveryNs;
  sys::crash_point("sub_worker.exchange_committed");
  if (max_jobs > 0) fetch_outage_.ended(board::Clock::now());
  append(plan.answer.recorded, done.recorded);
  plan.answer.fetched = std::move(done.fetched);
  plan.answer.took = board::Clock::now() - asked;
  if (!plan.answer.fetched.jobs.empty()) slot_.warm.store(1);
  plan.left.clear();
}

// Of short jobs a sample is enough to know how long they have waited: the question costs planning and an
// index probe. Without a status socket the answer would have no reader.
sql::FetchRequest Session::fetch_request(int max_jobs) {
  sql::FetchRequest request;
  request.queues = group_.queues;
  request.worker_id = lease_.id();
  request.max_jobs = max_jobs;
  request.omit_events = group_.events == config::KeepEvents::none;
  request.ask_waited = !config_.status.socket.empty() && board::now_ns() >= next_waited_ns_;
  PassedOver::List passed_over = passed_over_.list(PassedOver::Clock::now());
  request.passed_over = std::move(passed_over.jobs);
  request.passed_over_tasks = std::move(passed_over.tasks);
  if (max_jobs > 0) std::ranges::move(hooks_.full_tasks(), std::back_inserter(request.passed_over_tasks));
  return request;
}

// So that one that is refused does not keep the others from being stored. What is left to people is settled
// with the lease.
void Session::record_one_by_one(VisitPlan& plan) {
  const auto next_alone = [&] { return std::ranges::find(plan.left, false, &SentOutcome::left_to_people); };
  for (auto next = next_alone(); next != plan.left.end(); next = next_alone()) {
    try {
      append(plan.answer.recorded, database().finish_and_fetch(lease_.id(), ended({*next}), {}).recorded);
    } catch (const sql::DatabaseError& error) {
      if (!plan.blames_the_outcome(error)) throw;
      plan.answer.refused.push_back({next->job_id, error.what()});
    }
    plan.left.erase(next);
  }
}

sys::Tried Session::fetch_past_refused(VisitPlan& plan) {
  sql::FetchedAround around = database().fetch_around(fetch_request(1));
  for (const sql::RefusedJob& refused : around.refused) pass_over(refused);
  plan.answer.fetched = std::move(around.fetched);
  if (!around.refused.empty()) {
    // There may be more behind so many.
    return plan.answer.fetched.jobs.empty() ? sys::Tried::again : sys::Tried::done;
  }
  // Every job could be started alone, so the combined fetch is at fault. The log says so; people would only
  // notice that fetching is slow.
  const std::string line = fetch_outage_.failed(
      "the fetch fails, though no single job is at fault: " + plan.fetch_error(), board::Clock::now());
  if (!line.empty()) sys::log_of(sys::Component::database).error("database: {}", line);
  return sys::Tried::done;
}

void Session::pass_over(const sql::RefusedJob& refused) {
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

void Session::leave_alone(const sql::Job& job, const std::string& why) {
  const PassedOver::News news = passed_over_.leave(job, PassedOver::Clock::now(), sys::chance());
  if (news == PassedOver::News::task)
    sys::log_of(sys::Component::job).info("{}; jobs of this task are left to other workers", why);
}

// Settles a doubtful lease and the outcomes that belong to it. Safe to be repeated at every point: a rescue
// that was done before finds no row, and outcomes that were recorded before are recognised. So they may be
// recorded one by one first. One that is refused keeps the lease in doubt, until it has another form.
void Session::settle(VisitPlan& plan) {
  if (plan.way() == VisitPlan::Way::one_by_one) record_one_by_one(plan);
  if (!plan.answer.refused.empty()) return;
  append(plan.answer.recorded, database().rescue_worker(plan.rescue_of(lease_.id())));
  const sql::OutcomeTexts late = plan.undecided();
  if (!late.empty())
    append(plan.answer.recorded, database().finish_and_fetch(lease_.id(), {.outcomes = late}, {}).recorded);
  plan.left.clear();
  lease_.ended();
}

void Session::ensure_lease() {
  if (lease_.is_held()) return;
  const auto begun = board::boot_ns();
  lease_.taken(database().register_worker({identity_.supervisor, identity_.host, identity_.name,
                                           static_cast<int>(::getpid()), group_.queues}),
               begun);
  sys::crash_point("sub_worker.lease_registered");
  slot_.lease.store(lease_.id());
  hooks_.on_lease(lease_.id());
}

// After trouble, before the next job is fetched: under a lease that counts as fenced it would be killed at
// once.
void Session::renew_lease() {
  const auto begun = board::boot_ns();
  if (lease_.is_trusted()) {
    const sql::Heartbeats heartbeats = database().heartbeat({lease_.id()});
    if (!heartbeats.stored.empty())
      lease_.renewed(begun);
    else if (heartbeats.locked.empty())
      doubt_lost_lease();
  }
  lease_.in_sight();
}

// Our worker's row is gone: another host took this sub-worker for dead. What it has done since is settled
// under the old lease.
void Session::doubt_lost_lease() {
  sys::log.warn("lease {} is gone: another host rescued it or a person deleted it; taking a new lease",
                lease_.id());
  lease_.doubt();
}

sys::Tried Session::failed(const sql::DatabaseError& error, VisitPlan& plan, int asked_for) {
  using Next = VisitPlan::Next;
  const VisitPlan::At at{.connected = connection_.is_connected(),
                         .has_lease = lease_.is_held(),
                         .lease_is_doubtful = lease_.is_doubtful(),
                         .asked_for = asked_for};
  const Next next = plan.after(error, at, board::Clock::now());
  switch (next) {
    case Next::again:
      return sys::Tried::again;
    case Next::lease_is_gone:
      doubt_lost_lease();
      return sys::Tried::again;
    case Next::abandon_lease:
      abandon_lease(plan, error.what());
      return sys::Tried::again;
    case Next::hand_back:
      return sys::Tried::done;
    case Next::fail:
      throw error;
    case Next::reconnect_in_doubt:
      lease_.doubt();
      break;
    case Next::say_and_again:
    case Next::wait:
    case Next::reconnect:
      break;
  }
  if (next != Next::say_and_again) lease_.trouble();
  if (next == Next::reconnect || next == Next::reconnect_in_doubt) connection_.give_up();
  say(error.what(), plan.is_pending());
  return sys::Tried::again;
}

// The lease cannot even be given up: the database refuses to let its jobs go. It gets no heartbeats from now
// on, its jobs stay in `doing` with their locks, and are rescued as those of any silent worker once the
// database allows it.
void Session::abandon_lease(VisitPlan& plan, const std::string& why) {
  sys::log.error("lease {} cannot be given up and is left behind with its jobs: {}", lease_.id(), why);
  plan.report_all();
  lease_.ended();
}

void Session::say(const std::string& what, bool pending) {
  outage_.failed(what + (pending ? "; the outcome is kept" : ""));
}

// A ring for work ends it soon: the supervisor's own connection is back, so ours may be too. But only every
// other wait: however many jobs come in while the database refuses us, the tries stay as far apart as the
// backoff wants. Whatever else rings is answered by the look for work that follows. False when there is no
// point in going on.
bool Session::wait(std::chrono::milliseconds limit, bool pending) {
  // A row that another session locks may keep us here for hours, with a connection that others wait for.
  if (board::someone_waits_for_permit(board_)) connection_.give_up();
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

sql::JobManager Session::connect() const {
  sql::ConnectOptions options;
  options.url = config_.database.url;
  options.application_name = "postpone sub-worker " + identity_.name;
  options.connect_timeout = config_.database.connect_timeout;
  options.statement_timeout = config_.database.statement_timeout;
  options.on_tick = hooks_.on_tick;
  options.watched_fd = hooks_.watched_fd;
  return sql::JobManager::connect(options);
}

bool Session::leave() {
  if (!lease_.is_held()) return true;
  if (lease_.is_doubtful() || !connection_.take_permit(true)) return false;
  try {
    database().unregister_worker(lease_.id());
    sys::crash_point("sub_worker.lease_deleted");
  } catch (const sql::DatabaseError& error) {
    sys::log.warn("cannot delete lease {}: {}; the housekeeper will", lease_.id(), error.what());
    return false;
  }
  lease_.ended();
  slot_.lease.store(0);
  connection_.give_up();
  return true;
}

}  // namespace postpone::subworker

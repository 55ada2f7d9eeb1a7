#include "subworker/worker/visit_plan.h"

#include <algorithm>

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

// How often an error that does not name the data is met before the row at hand is held to be at fault; and
// for how long, unless the application has raised it: a schema that is changed, a privilege that is missing
// for a moment.
constexpr int kMostRefusals = 6;
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

bool contains(const std::vector<sql::Recorded>& recorded, sql::JobId job_id) {
  return std::ranges::find(recorded, job_id, &sql::Recorded::job_id) != recorded.end();
}

}  // namespace

sql::Ended ended(const std::vector<SentOutcome>& outcomes) {
  sql::Ended ended;
  for (const SentOutcome& outcome : outcomes) {
    if (outcome.success)
      ended.successes.push_back(*outcome.success);
    else
      ended.outcomes.push_back(outcome.text);
  }
  return ended;
}

bool VisitPlan::leaves_to_people() const {
  return std::ranges::any_of(left, &SentOutcome::left_to_people);
}

VisitPlan::Next VisitPlan::go(Way way) {
  way_ = way;
  return Next::again;
}

VisitPlan::Next VisitPlan::after(const sql::DatabaseError& error, const At& at, Clock::time_point now) {
  switch (error.remedy()) {
    case sql::Remedy::reconnect: {
      // What the server may still obey when we have gone on: a fetch, and a release, which counts no attempt
      // and so fits the next run of the job as well.
      const bool dangerous = at.asked_for > 0 || std::ranges::any_of(left, &SentOutcome::releases);
      const bool in_doubt = at.connected && at.has_lease && dangerous && error.leaves_doubt();
      return in_doubt ? Next::reconnect_in_doubt : Next::reconnect;
    }
    case sql::Remedy::wait:
      return Next::wait;  // no heartbeats are stored either, most likely
    case sql::Remedy::retry:
      if (++conflicts_ < kConflicts) return Next::again;  // most often it goes well at once
      return at.lease_is_doubtful ? Next::say_and_again : refused(error, at, now);
    case sql::Remedy::conflict:
    case sql::Remedy::bug:
      break;
  }
  return refused(error, at, now);
}

// An error that waiting does not mend by itself: what is it about?
VisitPlan::Next VisitPlan::refused(const sql::DatabaseError& error, const At& at, Clock::time_point now) {
  if (at.has_lease && !at.lease_is_doubtful && sql::says_lease_is_gone(error)) return Next::lease_is_gone;
  const bool fetched = !at.lease_is_doubtful && at.asked_for > 0;
  if (fetched && !is_pending() && way_ != Way::fetch_past_refused) {
    fetch_error_ = error.what();
    return go(Way::fetch_past_refused);
  }
  if (fetched && is_pending() && way_ == Way::together) return go(Way::record_first);
  if (is_pending() || at.lease_is_doubtful) return outcomes_refused(error, at, now);
  return error.remedy() == sql::Remedy::retry ? Next::say_and_again : Next::fail;
}

// The outcomes were refused by themselves, or a doubtful lease cannot be settled with them.
VisitPlan::Next VisitPlan::outcomes_refused(const sql::DatabaseError& error, const At& at,
                                            Clock::time_point now) {
  // Before there is a connection, an error says who we are or how we come in, and nothing of rows.
  if (!at.connected || (!names_data(error) && may_pass(error, now))) return Next::say_and_again;
  if (!at.lease_is_doubtful || way_ != Way::one_by_one) return go(Way::one_by_one);
  if (std::ranges::all_of(left, &SentOutcome::left_to_people)) return Next::abandon_lease;
  // Not even one by one. The lease stays in doubt, until the outcomes have forms with which it can be settled.
  for (const SentOutcome& outcome : left)
    if (!outcome.left_to_people) answer.refused.push_back({outcome.job_id, error.what()});
  return Next::hand_back;
}

bool VisitPlan::may_pass(const sql::DatabaseError& error, Clock::time_point now) {
  if (refusals_++ == 0) first_refusal_ = now;
  return refusals_ < kMostRefusals || (!was_raised(error) && now - first_refusal_ < kLongPatience);
}

bool VisitPlan::blames_the_outcome(const sql::DatabaseError& error) const {
  const bool for_others = error.remedy() == sql::Remedy::retry && conflicts_ < kConflicts;
  const bool passing = error.remedy() == sql::Remedy::reconnect || error.remedy() == sql::Remedy::wait;
  return !passing && !for_others && !sql::says_lease_is_gone(error);
}

sql::RescueRequest VisitPlan::rescue_of(sql::WorkerId lease) const {
  sql::RescueRequest rescue;
  rescue.worker_id = lease;
  rescue.running = std::vector<sql::JobId>{};
  rescue.message = "its lease was given up";
  for (const SentOutcome& outcome : left) {
    if (!outcome.left_to_people) {
      rescue.outcomes.push_back(outcome.as_text());
      continue;
    }
    rescue.running->push_back(outcome.job_id);
    rescue.action = sql::StalledAction::report;
    rescue.message = "it has ended, and the database refuses to record how: " + sql::storable(outcome.why);
  }
  return rescue;
}

sql::OutcomeTexts VisitPlan::undecided() {
  sql::OutcomeTexts texts;
  for (const SentOutcome& outcome : left) {
    if (contains(answer.recorded, outcome.job_id)) continue;
    if (!outcome.left_to_people)
      texts.push_back(outcome.as_text());
    else
      answer.recorded.push_back({outcome.job_id, sql::Disposition::gone, {}, sql::JobStatus::todo});
  }
  return texts;
}

void VisitPlan::report_all() {
  for (const SentOutcome& outcome : left)
    answer.recorded.push_back({outcome.job_id, sql::Disposition::reported, {}, sql::JobStatus::doing});
  left.clear();
  refusals_ = 0;
}

}  // namespace postpone::subworker

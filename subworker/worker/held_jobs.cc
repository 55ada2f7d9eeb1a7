#include "subworker/worker/held_jobs.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "sys/crash_point.h"

namespace postpone::subworker {

std::size_t HeldJobs::free_place() const {
  const auto free = std::ranges::find(taken_, false);
  if (free == taken_.end()) throw std::logic_error("more jobs were fetched than can be held");
  return static_cast<std::size_t>(free - taken_.begin());
}

HeldJob& HeldJobs::hold(sql::Job job, std::chrono::steady_clock::time_point horizon) {
  const std::size_t place = free_place();
  taken_.at(place) = true;
  board::JobEntry& entry = slot_.jobs[place];
  HeldJob& held = jobs_.emplace_back(
      HeldJob{.job = std::move(job), .entry = entry, .outcome = std::nullopt, .horizon = horizon});
  freed_lock_ |= held.job.lock.has_value();
  if (slot_.jobs_used.load(std::memory_order_relaxed) <= place)
    slot_.jobs_used.store(static_cast<std::uint32_t>(place) + 1);
  entry.job_id.store(held.job.id);
  entry.phase.store(board::JobPhase::fetched);
  return held;
}

HeldJob* HeldJobs::next() {
  const auto found = std::ranges::find_if(jobs_, [](const HeldJob& held) { return !held.outcome; });
  return found != jobs_.end() ? &*found : nullptr;
}

std::chrono::steady_clock::time_point HeldJobs::horizon() const {
  const auto found = std::ranges::find_if(jobs_, [](const HeldJob& held) { return !held.outcome; });
  return found != jobs_.end() ? found->horizon : std::chrono::steady_clock::time_point::max();
}

void HeldJobs::begins(HeldJob& held) {
  held.begun = true;
  slot_.begin_run(held.entry);
  sys::crash_point("sub_worker.job_on_board");
}

void HeldJobs::hands_over(const std::vector<HeldJob*>& set, std::uint32_t number,
                          const sql::Outcome& success) {
  std::uint32_t index = 0;
  const std::int64_t now = board::now_ns();
  for (HeldJob* held : set) {
    board::JobEntry& entry = held->entry;
    entry.set.store(number, std::memory_order_relaxed);
    entry.index.store(index++, std::memory_order_relaxed);
    entry.jobs_of_set.store(static_cast<std::uint32_t>(set.size()), std::memory_order_relaxed);
    entry.handed_ns.store(now, std::memory_order_relaxed);
    entry.success.attempt.store(sql::next_attempt(held->job.attempts), std::memory_order_relaxed);
    entry.success.deletes_job.store(success.delete_job ? 1 : 0, std::memory_order_relaxed);
    entry.success.omits_events.store(success.omit_events ? 1 : 0, std::memory_order_relaxed);
    entry.success.omits_attempt.store(success.omit_attempt ? 1 : 0, std::memory_order_relaxed);
    entry.phase.store(board::JobPhase::handed, std::memory_order_release);
  }
}

void HeldJobs::succeeds(HeldJob& held, const libtask::wire::PlainRun& run, sql::Outcome outcome) {
  held.begun = true;
  held.outcome.emplace(std::move(outcome));
  board::write_success(held.entry.success, run);
  held.entry.phase.store(board::JobPhase::succeeded, std::memory_order_release);
  sys::crash_point("sub_worker.success_on_board");
}

void HeldJobs::keeps(HeldJob& held) {
  held.entry.phase.store(board::JobPhase::fetched);
}

void HeldJobs::ends(HeldJob& held, sql::Outcome outcome) {
  held.outcome.emplace(std::move(outcome));
  write_outcome(held);
}

// The first gap between the texts that stand there.
std::optional<std::uint32_t> HeldJobs::free_room(std::size_t bytes) const {
  std::vector<const board::JobEntry*> texts;
  for (const HeldJob& held : jobs_)
    if (held.has_text) texts.push_back(&held.entry);
  std::ranges::sort(texts, {}, [](const board::JobEntry* entry) { return entry->outcome_at.load(); });
  std::uint32_t end = 0;
  for (const board::JobEntry* entry : texts) {
    if (entry->outcome_at >= end + bytes) return end;
    end = entry->outcome_at + entry->outcome_bytes;
  }
  return board::kOutcomeRoom - end >= bytes ? std::optional(end) : std::nullopt;
}

bool HeldJobs::has_room() const {
  const auto is_known_to_us_alone = [](const HeldJob& held) {
    return held.entry.phase.load() == board::JobPhase::ended && !held.has_text;
  };
  return std::ranges::none_of(jobs_, is_known_to_us_alone) && free_room(board::kMaxOutcomeBytes).has_value();
}

void HeldJobs::write_outcome(HeldJob& held) {
  // A death says the same of a job that has not begun. So the board has room for any number of these.
  if (held.outcome->sent().releases && !held.begun) return sys::crash_point("sub_worker.outcome_on_board");
  board::JobEntry& entry = held.entry;
  // A text that stands there may be read as long as the phase says `ended`.
  const auto phase = entry.phase.load();
  if (phase == board::JobPhase::ended || phase == board::JobPhase::succeeded)
    entry.phase.store(board::JobPhase::running);
  held.has_text = false;
  const std::string text = held.outcome->sent().as_text();
  const auto at = text.size() <= board::kMaxOutcomeBytes ? free_room(text.size()) : std::nullopt;
  board::write_outcome(entry, slot_.outcomes, at.value_or(0),
                       at ? std::string_view(text) : std::string_view());
  held.has_text = at.has_value();
  entry.phase.store(board::JobPhase::ended);
  sys::crash_point("sub_worker.outcome_on_board");
}

void HeldJobs::let_go(const HeldJob& held) {
  held.entry.phase.store(board::JobPhase::none);
  taken_.at(static_cast<std::size_t>(&held.entry - slot_.jobs)) = false;
  jobs_.erase(std::ranges::find_if(jobs_, [&](const HeldJob& each) { return &each == &held; }));
}

std::vector<SentOutcome> HeldJobs::unrecorded() const {
  std::vector<SentOutcome> outcomes;
  outcomes.reserve(jobs_.size());
  for (const HeldJob& held : jobs_)
    if (held.outcome) outcomes.push_back(held.outcome->sent());
  return outcomes;
}

bool HeldJobs::has_unrecorded() const {
  return std::ranges::any_of(jobs_, [](const HeldJob& held) { return held.outcome.has_value(); });
}

bool HeldJobs::has_unended() const {
  return std::ranges::any_of(jobs_, [](const HeldJob& held) { return !held.outcome; });
}

std::vector<HeldJob*> HeldJobs::unbegun() {
  std::vector<HeldJob*> unbegun;
  for (HeldJob& held : jobs_)
    if (!held.begun && !held.outcome) unbegun.push_back(&held);
  return unbegun;
}

std::vector<sql::JobId> HeldJobs::claimed_running() const {
  std::vector<sql::JobId> running;
  for (const HeldJob& held : jobs_)
    if (held.begun && !held.outcome && held.job.is_claimed) running.push_back(held.job.id);
  return running;
}

void HeldJobs::settled(const std::vector<sql::JobId>& job_ids) {
  for (HeldJob& held : jobs_)
    if (std::ranges::find(job_ids, held.job.id) != job_ids.end()) held.job.is_claimed = false;
}

bool HeldJobs::is_given_back(sql::JobId job_id) const {
  return std::ranges::any_of(jobs_, [job_id](const HeldJob& held) {
    return held.job.id == job_id && held.outcome && held.outcome->sent().releases;
  });
}

std::list<HeldJob>::iterator HeldJobs::find_unrecorded(sql::JobId job_id) {
  return std::ranges::find_if(
      jobs_, [job_id](const HeldJob& held) { return held.outcome && held.job.id == job_id; });
}

void HeldJobs::recorded(sql::JobId job_id) {
  if (const auto found = find_unrecorded(job_id); found != jobs_.end()) let_go(*found);
}

sql::Cause HeldJobs::refused(sql::JobId job_id, const std::string& why) {
  HeldJob& held = *find_unrecorded(job_id);
  const sql::Cause cause = held.outcome->outcome().cause;
  held.outcome->lower(why);
  write_outcome(held);
  return cause;
}

bool HeldJobs::take_freed_lock() {
  return std::exchange(freed_lock_, std::ranges::any_of(jobs_, [](const HeldJob& held) {
                         return !held.outcome && held.job.lock.has_value();
                       }));
}

}  // namespace postpone::subworker

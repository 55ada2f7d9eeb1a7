// How the supervisor takes a new configuration: SIGHUP, the file, the check, and then, all at once, what has
// changed. Before the check has ended well nothing is changed; afterwards nothing can go wrong any more but
// what can go wrong with any sub-worker at any time.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "supervisor/supervisor.h"
#include "sys/crash_point.h"
#include "sys/log.h"

namespace postpone::supervisor {
namespace {

std::string why_refused(const sys::ExitReport& report) {
  const auto status =
      report.signalled ? board::SubWorkerExit::internal_error : board::SubWorkerExit(report.code);
  switch (status) {
    case board::SubWorkerExit::bad_task:
      return "a task executable is not fit";
    case board::SubWorkerExit::bad_schema:
      return "the database's schema is not fit";
    default:
      return fmt::format(
          "the check of task executables and schema ended with {}, see the lines before this "
          "one",
          sys::to_string(report));
  }
}

// The reasons themselves stand in the log.
std::string why_refused(const sys::ExitReport& report, const std::string& reason, int reasons) {
  std::string why = why_refused(report);
  if (reasons > 0) why += ": " + reason;
  if (reasons > 1) why += fmt::format(" (and {} more, see the log)", reasons - 1);
  return why;
}

std::string what_has_changed(const Change& change, const std::string& fixed) {
  std::string words =
      change.words.empty() ? "nothing has changed" : fmt::format("{}", fmt::join(change.words, "; "));
  if (!fixed.empty()) words += "; " + fixed;
  return words;
}

}  // namespace

void Supervisor::on_reload_signal() {
  if (phase_ == Phase::draining) {
    spdlog::warn("SIGHUP: no configuration is read while draining");
    return;
  }
  if (phase_ == Phase::preflight || children_[preflight()]) {
    reload_again_ = true;
    // The check of the file as it was before is of no use any more, and may be waiting for the database.
    if (phase_ == Phase::working) stop_preflight();
    return;
  }
  begin_reload();
}

void Supervisor::begin_reload() {
  spdlog::info("reading {} again", options_.config_path);
  service_.reloading();
  try {
    std::string text = sys::read_regular_file(options_.config_path);
    const auto parsed = config::parse(text, family_.config_directory);
    for (const config::Problem& problem : parsed.problems)
      spdlog::error("{}", config::to_string(problem, options_.config_path));
    if (!parsed.config)
      return end_reload(false, config::to_string(parsed.problems.front(), options_.config_path));
    config::Config next = *parsed.config;
    config::apply(options_.overrides, next);
    const std::vector<std::string> faults = faults_of(next);
    for (const std::string& fault : faults) spdlog::error("{}: {}", options_.config_path, fault);
    if (!faults.empty()) return end_reload(false, faults.front());
    prepare(std::move(next), std::move(text));
  } catch (const std::exception& error) {  // no such file, no memory, no process to be had
    pending_.reset();
    end_reload(false, error.what());
  }
}

// Starts the check of a configuration that is right by itself. What cannot change stays as it is, in what the
// family will read, too.
void Supervisor::prepare(config::Config next, std::string text) {
  Pending pending;
  const auto fixed = fixed_keys_changed(config_, next);
  if (!fixed.empty()) {
    std::vector<std::string> names;
    names.reserve(fixed.size());
    for (const auto& key : fixed) names.push_back(to_string(key));
    pending.fixed = fmt::format("{} cannot change while the supervisor runs", fmt::join(names, ", "));
    spdlog::warn("{}: what stands there is taken with a restart", pending.fixed);
    text = config::keep_keys(text, config_text_, fixed);
    next = config::parse(text, family_.config_directory, config::Files::trust).config.value();
    config::apply(options_.overrides, next);
  }
  std::set<std::string> replaced;
  for (const config::Group& group : next.groups) {
    const auto stamp = sys::file_stamp(group.executable);
    const auto known = stamps_.find(group.executable);
    if (known != stamps_.end() && known->second != stamp) replaced.insert(group.executable);
    pending.stamps[group.executable] = stamp;
  }
  pending.change = compare(config_, next, replaced);
  pending.memfd = sys::make_sealed_memfd("postpone-config", text);
  pending.config = std::move(next);
  pending.text = std::move(text);
  pending_ = std::move(pending);
  adopt(preflight(), spawn_preflight_of(family_, pending_->memfd.get()));
  sys::crash_point("supervisor.check_begun");
  show();
}

void Supervisor::on_reload_checked(const sys::ExitReport& report) {
  auto pending = std::exchange(pending_, std::nullopt);
  const bool good = !report.signalled && board::SubWorkerExit(report.code) == board::SubWorkerExit::done;
  leftovers_ = leftovers_ || !good;  // a task executable that it was asking, perhaps
  if (std::exchange(reload_again_, false)) return begin_reload();
  if (!pending) return end_reload(false, why_refused(report));
  if (!good) return end_reload(false, why_refused(report, pending->reason, pending->reasons));
  const std::string words = what_has_changed(pending->change, pending->fixed);
  try {
    // The one thing that may fail yet, and then it has changed nothing.
    if (pending->config.log != config_.log) sys::apply_log(log_options(pending->config.log));
  } catch (const std::exception& error) {
    return end_reload(false, error.what());
  }
  take_over(std::move(*pending));
  end_reload(true, words);
}

// In this order: what the new ones will read; who belongs where; who has to go; and in the end, unless
// nothing has changed, everybody looks for work, since a bell may have been rung for somebody who leaves.
void Supervisor::take_over(Pending pending) {
  const config::Config former = std::exchange(config_, std::move(pending.config));
  config_text_ = std::move(pending.text);
  config_memfd_ = std::move(pending.memfd);
  family_.config_fd = config_memfd_.get();
  sys::crash_point("supervisor.configuration_taken");
  stamps_ = std::move(pending.stamps);
  roster_.set_policy(policy_of(config_.supervisor));
  const auto permits = static_cast<std::uint32_t>(config_.effective_pool_size());
  if (board_.header().permits.exchange(permits) != permits) board::ring_for_changed_permits(board_);
  rename_groups(former);
  const Change& change = pending.change;
  if (change.log_levels) {
    board_.header().log_levels.store(sys::levels_in_a_word(log_options(config_.log)));
    ++board_.header().log_epoch;
  }
  mark_outdated(change);
  arrange_posts();
  if (change.housekeeper) replace_housekeeper();
  if (change.listening) listen();
  if (!change.words.empty()) ring_everybody(board::kRungForWork);
  fetched_when_idle_.reset();
}

// Groups are numbered by their place in the configuration. The housekeeper that goes by the former numbers is
// replaced; until then it may wake the wrong ones, and its successor looks for what became due meanwhile.
void Supervisor::rename_groups(const config::Config& former) {
  for (std::uint32_t i = 0; i < slots_; ++i) {
    if (group_of_[i] == board::kNoGroup) continue;
    const std::string& name = former.groups[group_of_[i]].name;
    const auto found = std::find_if(config_.groups.begin(), config_.groups.end(),
                                    [&](const config::Group& group) { return group.name == name; });
    if (found == config_.groups.end()) {
      dismiss(i);
      continue;
    }
    group_of_[i] = static_cast<std::uint32_t>(found - config_.groups.begin());
    board_.slot(i).group.store(group_of_[i]);
  }
}

// Whoever could not start with the former configuration may be able to with this one, and tries at once.
void Supervisor::mark_outdated(const Change& change) {
  for (std::uint32_t i = 0; i < slots_; ++i) {
    if (!change.everybody && !change.groups.contains(tenures_[i].group)) continue;
    tenures_[i].outdated = true;
    const bool waits = group_of_[i] != board::kNoGroup && roster_.state(i) == Roster::State::absent;
    if (waits) roster_.want(i, Clock::now());
  }
}

void Supervisor::replace_housekeeper() {
  if (roster_.state(housekeeper()) == Roster::State::absent) roster_.want(housekeeper(), Clock::now());
  if (!children_[housekeeper()]) return;
  board_.header().housekeeper_command.store(board::Command::leave);
  board_.header().housekeeper_doorbell.ring(board::kRungForCommand);
}

void Supervisor::replace_outdated() {
  if (phase_ != Phase::working) return;
  std::vector<Incumbent> incumbents;
  bool any = false;
  for (std::uint32_t i = 0; i < slots_; ++i) {
    if (group_of_[i] == board::kNoGroup) continue;
    const bool serving = children_[i] && roster_.state(i) == Roster::State::serving;
    const Tenure& tenure = tenures_[i];
    incumbents.push_back(
        {i, group_of_[i], tenure.outdated, tenure.told, tenure.told_at, serving, is_busy(i)});
    any |= tenure.outdated && !tenure.told;
  }
  if (!any) return;
  for (const std::uint32_t slot : to_replace(incumbents, Clock::now())) {
    tell_to_leave(slot);
    sys::crash_point("supervisor.told_to_leave");
  }
}

void Supervisor::end_reload(bool ok, const std::string& message) {
  last_reload_ = status::Reload{board::now_ns(), ok, message};
  if (ok)
    spdlog::info("{} is in force: {}", options_.config_path, message);
  else
    spdlog::error("{} is not taken, everything stays as it was: {}", options_.config_path, message);
  service_.reloaded();
  upkeep();
}

}  // namespace postpone::supervisor

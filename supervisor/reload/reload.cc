#include "supervisor/reload/reload.h"

#include <spdlog/fmt/fmt.h>

#include <exception>
#include <set>
#include <utility>
#include <vector>

#include "board/family.h"
#include "config/keep.h"
#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::supervisor {
namespace {

bool is_good(const sys::ExitReport& report) {
  return !report.signalled && board::SubWorkerExit(report.code) == board::SubWorkerExit::done;
}

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
          "the check of task executables and schema ended with {}, see the lines before this one",
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

Reload::Reload(ConfigurationFile file, const Configuration& in_force, Handlers handlers)
    : file_(std::move(file)), in_force_(in_force), handlers_(std::move(handlers)) {
  for (const config::Group& group : in_force.config.groups)
    stamps_[group.executable] = sys::file_stamp(group.executable);
}

void Reload::request(bool may_begin) {
  if (may_begin && !pending_) return begin();
  requested_ = true;
  if (pending_) handlers_.stop_check();
}

void Reload::begin_if_requested() {
  if (std::exchange(requested_, false)) begin();
}

void Reload::begin() {
  sys::log.info("reading {} again", file_.path);
  handlers_.on_begin();
  try {
    Reading reading = read_configuration(file_, sys::read_regular_file(file_.path, config::kMaxFileBytes));
    for (const std::string& fault : reading.faults) sys::log.error("{}", fault);
    if (!reading.configuration) return end(false, reading.reason);
    check(std::move(*reading.configuration));
  } catch (const std::exception& error) {  // no such file, no memory, no process to be had
    pending_.reset();
    end(false, error.what());
  }
}

// Starts the check of a configuration that is right by itself.
void Reload::check(Configuration next) {
  Pending pending;
  next = with_fixed_keys(std::move(next), pending.fixed);
  std::set<std::string> replaced;
  for (const config::Group& group : next.config.groups) {
    const auto stamp = sys::file_stamp(group.executable);
    const auto known = stamps_.find(group.executable);
    if (known != stamps_.end() && known->second != stamp) replaced.insert(group.executable);
    pending.stamps[group.executable] = stamp;
  }
  pending.change = compare(in_force_.config, next.config, replaced);
  next.seal();
  pending.next = std::move(next);
  pending_ = std::move(pending);
  handlers_.start_check(pending_->next.memfd.get());
}

// What cannot change stays as it is, in what the members will read, too.
Configuration Reload::with_fixed_keys(Configuration next, std::string& fixed) const {
  const auto keys = fixed_keys_changed(in_force_.config, next.config);
  if (keys.empty()) return next;
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(to_string(key));
  fixed = fmt::format("{} cannot change while the supervisor runs", fmt::join(names, ", "));
  sys::log.warn("{}: the new value waits for a restart", fixed);
  std::string text = config::keep_keys(next.text, in_force_.text, keys);
  return read_configuration(file_, std::move(text), config::Files::trust).configuration.value();
}

void Reload::on_reason(std::string reason) {
  if (pending_ && pending_->reasons++ == 0) pending_->reason = std::move(reason);
}

void Reload::on_checked(const sys::ExitReport& report) {
  auto pending = std::exchange(pending_, std::nullopt);
  if (std::exchange(requested_, false)) return begin();
  if (!pending) return end(false, why_refused(report));
  if (!is_good(report)) return end(false, why_refused(report, pending->reason, pending->reasons));
  try {
    // Opening the new log is the last step that can fail. It comes before any change, so a failure leaves all
    // as it was.
    const config::Log& log = pending->next.config.log;
    if (log != in_force_.config.log) sys::apply_log(log_options(log));
  } catch (const std::exception& error) {
    return end(false, error.what());
  }
  stamps_ = std::move(pending->stamps);
  handlers_.take(std::move(pending->next), pending->change);
  end(true, what_has_changed(pending->change, pending->fixed));
}

void Reload::end(bool ok, const std::string& message) {
  if (ok)
    sys::log.info("{} is in force: {}", file_.path, message);
  else
    sys::log.error("{} is not taken, everything stays as it was: {}", file_.path, message);
  handlers_.on_end(ok, message);
}

}  // namespace postpone::supervisor

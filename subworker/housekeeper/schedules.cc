#include "subworker/housekeeper/schedules.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "subworker/task/task_process.h"
#include "sys/crash_point.h"
#include "sys/host.h"
#include "sys/log.h"
#include "sys/logger.h"

namespace postpone::subworker {

using namespace std::chrono_literals;

namespace {

// So that people see which schedules are served still.
constexpr auto kAnnouncing = 5min;

}  // namespace

Schedules::Schedules(const config::Config& config, const ServerClock& server_clock,
                     HousekeeperReporter& reporter)
    : config_(config),
      server_clock_(server_clock),
      reporter_(reporter),
      supervisor_(config.supervisor.name.empty() ? sys::host_name() : config.supervisor.name),
      periodic_(config.schedules),
      asking_pause_(500ms, 60s) {
  unasked_.resize(config.groups.size());
  std::iota(unasked_.begin(), unasked_.end(), 0);
}

Schedules::Clock::time_point Schedules::next_asking() const {
  return unasked_.empty() ? Clock::time_point::max() : next_asking_;
}

void Schedules::learn(const Ask& ask, Clock::time_point now) {
  if (now < next_asking()) return;
  std::string passing;
  for (std::size_t i = 0; i < unasked_.size();) {
    if (const std::string trouble = ask_one(config_.groups[unasked_[i]], ask); !trouble.empty()) {
      passing = trouble;
      ++i;
    } else {
      unasked_.erase(unasked_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  if (unasked_.empty()) add_rest();
  const auto asked_at = Clock::now();  // an executable may take half a minute to answer
  if (!periodic_.served().empty()) next_announcing_ = asked_at;
  next_asking_ = asked_at + asking_pause_.next(sys::chance());
  report(passing);
}

std::string Schedules::ask_one(const config::Group& group, const Ask& ask) {
  const auto of_group = [&group](const std::exception& error) {
    return fmt::format("group {}: {}", group.name, error.what());
  };
  try {
    periodic_.add(ask(group));
  } catch (const sql::DatabaseError&) {
    throw;  // of the duties that were kept meanwhile
  } catch (const TaskNotAsked& error) {
    return of_group(error);
  } catch (const sys::SpawnError& error) {  // a user that is not there
    return of_group(error);
  } catch (const std::runtime_error& error) {
    wrong_ = of_group(error);
  }
  return "";
}

void Schedules::add_rest() {
  try {
    periodic_.add_rest();
  } catch (const std::runtime_error& error) {
    wrong_ = error.what();
  }
}

void Schedules::report(const std::string& passing) {
  const std::string& trouble = passing.empty() ? wrong_ : passing;
  reporter_.schedules_trouble(trouble);
  if (std::exchange(reported_, trouble) == trouble) return;
  if (trouble.empty()) return sys::log.info("all periodic tasks are deferred again");
  sys::log.error(
      "{}: its periodic tasks are not deferred{}{}", trouble,
      periodic_.has_rest() ? ", nor are those of the file for tasks that no executable has named" : "",
      passing.empty() ? "" : "; asking again until it answers");
}

Cron::Time Schedules::server_now(Clock::time_point now) const {
  return std::chrono::floor<std::chrono::seconds>(server_clock_.at(now));
}

Schedules::Clock::time_point Schedules::due(Clock::time_point now) const {
  const auto tick = periodic_.next_tick();
  if (!tick) return next_announcing_;
  return std::min(next_announcing_,
                  now + std::chrono::duration_cast<Clock::duration>(*tick - server_clock_.at(now)));
}

// A tick that the database has not answered for is deferred again, and counts once all the same; unless it has been missed by
// then, and its schedule does not make up for it.
void Schedules::keep(sql::JobManager& manager, Clock::time_point now, const std::function<void()>& between) {
  if (now >= next_announcing_) announce(manager, now);
  const std::vector<sql::PeriodicDefer> ticks = periodic_.take_due(server_now(now));
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    try {
      between();
      defer(manager, ticks[i]);
    } catch (...) {
      periodic_.give_back(std::span(ticks).subspan(i));
      throw;
    }
  }
}

void Schedules::announce(sql::JobManager& manager, Clock::time_point now) {
  periodic_.start(manager.announce_schedules(supervisor_, periodic_.served()), server_now(now));
  next_announcing_ = now + kAnnouncing;
}

void Schedules::defer(sql::JobManager& manager, const sql::PeriodicDefer& tick) {
  try {
    if (const auto id = manager.defer_periodic(tick)) {
      const sys::LogFields fields({{"job", *id}, {"task", tick.job.task}});
      sys::log.info("deferred periodic task {} as job {}", tick.job.task, *id);
    }
    sys::crash_point("housekeeper.tick_deferred");
  } catch (const sql::AlreadyEnqueued& error) {
    sys::log.info("periodic task {}: {}", tick.job.task, error.what());
  } catch (const sql::DatabaseError& error) {
    const bool passing = error.remedy() != sql::Remedy::bug && error.remedy() != sql::Remedy::conflict;
    if (passing) throw;
    sys::log.error("periodic task {} is not deferred: {}", tick.job.task, error.what());
  }
}

}  // namespace postpone::subworker

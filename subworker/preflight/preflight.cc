#include "subworker/preflight/preflight.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "sql/outage_log.h"
#include "sql/privileges.h"
#include "sql/schema.h"
#include "subworker/family/leaving.h"
#include "subworker/housekeeper/periodic.h"
#include "subworker/preflight/task_limits.h"
#include "subworker/task/describe.h"
#include "subworker/task/task_process.h"
#include "sys/backoff.h"
#include "sys/logger.h"

namespace postpone::subworker {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kSlice{50};  // how soon it gives up when it is ordered to leave

// How often a task executable may be killed or late before it is held to be at fault itself.
constexpr int kMostCutOff = 3;

// In bytes. No job has a task with a longer name, and a message over the leash has room for such a one.
constexpr std::size_t kLongestName = 4 * 128;

// Thrown out of what is waited for.
struct GivenUp {};

class Preflight {
 public:
  Preflight(const config::Config& config, Occasion occasion, const Leash& leash, LogFollower& log_follower)
      : config_(config), occasion_(occasion), leash_(leash), log_follower_(log_follower) {}

  board::SubWorkerExit run() {
    if (!tasks_are_good()) return board::SubWorkerExit::bad_task;
    if (!schema_is_good() || !may_listen()) return board::SubWorkerExit::bad_schema;
    return board::SubWorkerExit::done;
  }

 private:
  void tick() {
    log_follower_.look();
    leaving_.look(leave_signs(board::Command::run, leash_), Leaving::Clock::now());
    if (leaving_.is_ordered()) throw GivenUp();
  }

  void refuse(const std::string& reason) {
    sys::log.error("{}", reason);
    leash_.say_why(reason);
  }

  bool tasks_are_good() {
    bool good = true;
    Periodic periodic(config_.schedules);
    TaskLimits limits;
    for (const config::Group& group : config_.groups) {
      try {
        const libtask::wire::Description description = describe_in_time(group);
        limits.add(group.name, description);
        periodic.add(description);
      } catch (const std::runtime_error& error) {
        refuse(fmt::format("[[group]] \"{}\": {}", group.name, error.what()));
        good = false;
      }
    }
    try {
      periodic.add_rest();
    } catch (const std::runtime_error& error) {
      refuse(fmt::format("[[schedule]]: {}", error.what()));
      good = false;
    }
    return tell_limits(limits) && good;
  }

  bool tell_limits(const TaskLimits& limits) {
    const auto in_force = limits.in_force();
    if (in_force.size() > board::kMaxLimitedTasks) {
      refuse(fmt::format(
          "the task executables have {} tasks with a concurrency limit: {} are the most that there may be",
          in_force.size(), board::kMaxLimitedTasks));
      return false;
    }
    for (const std::string& difference : limits.differences()) sys::log.warn("{}", difference);
    for (const auto& [task, limit] : in_force)
      if (task.size() <= kLongestName && !leash_.say_limit(task, static_cast<std::uint32_t>(limit)))
        throw GivenUp();
    return true;
  }

  // A host that has no process or memory to spare at the moment is no reason not to start. An executable that
  // was killed or was late may be the victim of such a host, or hang by itself: it is asked some more times.
  libtask::wire::Description describe_in_time(const config::Group& group) {
    sys::Backoff backoff(100ms, 5s);
    for (int cut_off = 0;;) {
      try {
        return describe(group, [this] { tick(); });
      } catch (const TaskNotAsked& error) {
        if (error.why == TaskNotAsked::Why::other) throw;
        if (error.why == TaskNotAsked::Why::cut_off && ++cut_off == kMostCutOff) throw;
        const bool waits = error.why == TaskNotAsked::Why::want;
        if (backoff.failures() == 0)
          sys::log.warn("{}; trying again{}", error.what(), waits ? " until it goes well" : "");
        if (occasion_ == Occasion::start) leash_.say_why(error.what());
      }
      wait(backoff.next(sys::chance()));
    }
  }

  bool schema_is_good() {
    sys::Backoff backoff(100ms, 2s);
    for (;;) {
      tick();
      if (const auto problem = look_at_schema()) {
        if (!problem->empty()) refuse(*problem);
        return problem->empty();
      }
      wait(backoff.next(sys::chance()));
    }
  }

  // A server behind listen_url that is away for now is no reason to refuse: sub-workers poll until they can
  // be notified. One that refuses us for good is, since waiting would not help.
  bool may_listen() {
    if (!config_.database.listen || config_.database.listen_url.empty()) return true;
    try {
      sql::try_connection(options_for(config_.database.listen_url));
    } catch (const sql::DatabaseError& error) {
      const bool for_good = error.remedy() == sql::Remedy::bug;
      if (for_good) refuse(fmt::format("\"listen_url\" in [database]: {}", error.what()));
      return !for_good;
    }
    return true;
  }

  sql::ConnectOptions options_for(const std::string& url) {
    sql::ConnectOptions options;
    options.url = url;
    options.application_name = "postpone preflight";
    options.connect_timeout = config_.database.connect_timeout;
    options.statement_timeout = config_.database.statement_timeout;
    options.on_tick = [this] { tick(); };
    return options;
  }

  // What is wrong with it: an empty text when nothing is, no text when the server cannot be reached.
  std::optional<std::string> look_at_schema() {
    const sql::ConnectOptions options = options_for(config_.database.url);
    try {
      if (std::string lacking = sql::lacking_privileges(options); !lacking.empty()) return lacking;
      const auto report = sql::check_schema(options);
      const bool only_newer = report.state == sql::SchemaReport::State::newer;
      return only_newer && occasion_ == Occasion::reload ? "" : sql::explain(report);
    } catch (const sql::DatabaseError& error) {
      const bool passing = error.remedy() != sql::Remedy::bug && error.remedy() != sql::Remedy::conflict;
      if (!passing) return std::string(error.what());
      outage_.failed(error.what());
      if (occasion_ == Occasion::start) leash_.say_why(error.what());  // why it takes so long
      return std::nullopt;
    }
  }

  void wait(std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    for (auto now = until - limit; now < until; now = std::chrono::steady_clock::now()) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(kSlice, until - now));
      tick();
    }
  }

  const config::Config& config_;
  const Occasion occasion_;
  const Leash& leash_;
  LogFollower& log_follower_;
  sql::OutageLog outage_;
  Leaving leaving_;
};

}  // namespace

board::SubWorkerExit preflight(const config::Config& config, Occasion occasion, const Leash& leash,
                               LogFollower& log_follower) {
  try {
    return Preflight(config, occasion, leash, log_follower).run();
  } catch (const GivenUp&) {
    return board::SubWorkerExit::internal_error;
  }
}

}  // namespace postpone::subworker

// Periodic defers: which tick of which schedule is next, and which of those that were missed are made up for.
// Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "libtask/wire/description.h"
#include "libtask/wire/zoned_cron.h"
#include "sql/job_manager.h"

namespace postpone::subworker {

using libtask::wire::Cron;

// The schedules of a configuration: those of its file, and those of its task executables. Each is known by its
// task and id. One in the file goes before one of an executable, and the same one of two groups counts once.
// A tick is deferred once in the database however many supervisors keep time (postpone_defer_tick).
//
// A tick that cannot be handed out in time was missed: no housekeeper ran, or the database was away. What the
// schedule's `missed` says holds for it:
//   skip   it is gone
//   last   of all that were missed within missed_within, the last one is handed out
//   all    they all are, oldest first, but for those beyond the last hundred
class Periodic {
 public:
  // A tick that is handed out so late is no missed one: another housekeeper may have to start first.
  static constexpr std::chrono::seconds kInTime{10};
  static constexpr std::size_t kMostMadeUp = 100;

  explicit Periodic(std::vector<config::Schedule> filed = {});

  // Adds the schedules of one task executable, and those of the file for its tasks. Throws std::runtime_error
  // that names a schedule whose cron expression, zone or task is wrong; the others are added all the same.
  void add(const libtask::wire::Description& description);
  // Every executable has been asked: the schedules of the file that are left are for tasks of other programs.
  // Throws as above.
  void add_rest();

  // Whether there are schedules that wait for add_rest().
  bool has_rest() const { return !filed_.empty(); }

  // As the database is to know them.
  std::vector<sql::ServedSchedule> served() const;
  // The database's answer, one for each of served(): up to which tick it is done with. Sets from where on ticks
  // count, for schedules that have no such time yet.
  void start(const std::vector<std::int64_t>& done_until, Cron::Time now);

  // The next tick of any schedule that was started; nothing when there is none to come.
  std::optional<Cron::Time> next_tick() const;

  // The ticks up to `now`, as the job manager takes them, oldest first; each is handed out once.
  std::vector<sql::PeriodicDefer> take_due(Cron::Time now);
  // These ticks could not be deferred. They are due again, and are missed ticks by and by.
  void give_back(std::span<const sql::PeriodicDefer> ticks);

 private:
  struct Schedule {
    libtask::wire::ZonedCron cron;
    sql::ServedSchedule served;
    libtask::wire::Missed missed;
    std::optional<Cron::Time> next = std::nullopt;
    bool is_started = false;

    Cron::Time oldest(Cron::Time now) const;
  };

  void add(sql::ServedSchedule served, libtask::wire::Missed missed);
  void add_filed(const config::Schedule& filed, const libtask::wire::TaskDescription& task);
  bool is_known(const std::string& task, const std::string& id) const;
  static void take(Schedule& schedule, Cron::Time now, std::vector<sql::PeriodicDefer>& due);
  static void skip_to_last(Schedule& schedule, Cron::Time now, std::size_t most);

  std::vector<config::Schedule> filed_;  // not added yet
  std::vector<Schedule> schedules_;
};

}  // namespace postpone::subworker

// postpone schedules: which schedules there are, when they tick; and to run, pause and resume one.
#include <chrono>
#include <iostream>
#include <memory>

#include "cli/connect.h"
#include "cli/jobs/job_json.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/options/watch.h"
#include "cli/screen/output.h"
#include "cli/text/table.h"
#include "cli/text/text.h"
#include "cli/text/timestamp.h"
#include "libtask/wire/zoned_cron.h"
#include "sql/error.h"
#include "sql/schedules.h"

namespace postpone::cli {
namespace {

using libtask::wire::Cron;

// Supervisors announce theirs every five minutes.
constexpr sql::Seconds kSilent = std::chrono::minutes(16);

struct ScheduleListOptions {
  std::optional<std::string> task;
  bool as_json = false;
  Watch watch;
};

struct Chosen {
  std::string task;
  std::string id;
  bool as_json = false;
};

bool is_announced(const sql::ScheduleState& schedule) {
  return schedule.silent_for < kSilent;
}

// Nothing when it does not tick: it is paused, or no supervisor serves it; or this host lacks the time zone.
std::optional<sql::DatabaseTime> next_tick(const sql::ScheduleState& schedule, Cron::Time now) {
  if (schedule.paused_at || !is_announced(schedule)) return std::nullopt;
  try {
    const libtask::wire::ZonedCron cron{Cron::parse(schedule.cron), libtask::wire::Zone::load(schedule.zone)};
    if (const auto tick = cron.next_after(now)) return sql::DatabaseTime(sql::SystemTime(*tick));
  } catch (const libtask::wire::CronError&) {
    return std::nullopt;  // a person wrote into the table
  } catch (const libtask::wire::ZoneError&) {
    return std::nullopt;
  }
  return std::nullopt;
}

std::string state_of(const sql::ScheduleState& schedule) {
  if (schedule.paused_at) return "paused";
  return is_announced(schedule) ? "" : "not served for " + human_duration(schedule.silent_for);
}

std::string time_text(const std::optional<sql::DatabaseTime>& time) {
  return time ? to_local(*time) : "";
}

Table table_of(const std::vector<sql::ScheduleState>& schedules, Cron::Time now) {
  Table table{{{"TASK"},
               {"ID"},
               {"CRON", Table::Align::left, nullptr, Table::Fit::whole},
               {"ZONE"},
               {"LAST", Table::Align::left, nullptr, Table::Fit::whole},
               {"JOB", Table::Align::right},
               {"NEXT", Table::Align::left, nullptr, Table::Fit::whole},
               {"STATE", Table::Align::left, nullptr, Table::Fit::whole},
               {"SUPERVISOR", Table::Align::left, nullptr, Table::Fit::first}},
              {}};
  for (const sql::ScheduleState& schedule : schedules)
    table.rows.push_back(
        {printable(schedule.task), printable(schedule.id), printable(schedule.cron), printable(schedule.zone),
         time_text(schedule.last_tick), schedule.last_job ? std::to_string(*schedule.last_job) : "",
         time_text(next_tick(schedule, now)), state_of(schedule), printable(schedule.announced_by)});
  return table;
}

Json schedule_json(const sql::ScheduleState& schedule, Cron::Time now) {
  return {{"task", schedule.task},
          {"id", schedule.id},
          {"cron", schedule.cron},
          {"zone", schedule.zone},
          {"missed", schedule.missed},
          {"missed_within_s", or_null(std::optional(schedule.missed_within))},
          {"queue", schedule.queue},
          {"priority", schedule.priority},
          {"lock", or_null(schedule.lock)},
          {"queueing_lock", or_null(schedule.queueing_lock)},
          {"args", Json::parse(schedule.args)},
          {"since", or_null(std::optional(schedule.since))},
          {"last_tick", or_null(schedule.last_tick)},
          {"last_job_id", or_null(schedule.last_job)},
          {"next_tick", or_null(next_tick(schedule, now))},
          {"paused_at", or_null(schedule.paused_at)},
          {"served", is_announced(schedule)},
          {"supervisor", schedule.announced_by},
          {"announced_at", or_null(std::optional(schedule.announced_at))}};
}

sql::Schedules connect_schedules(const Invocation& invocation) {
  try {
    return sql::Schedules::connect(connect_options(invocation));
  } catch (const sql::DatabaseError& error) {
    refuse_bad_url(error);
    throw;
  }
}

std::string draw(const Invocation& invocation, const ScheduleListOptions& options) {
  sql::Schedules database = connect_schedules(invocation);
  const std::vector<sql::ScheduleState> schedules = database.list(options.task);
  const Cron::Time now{std::chrono::seconds(database.now())};
  if (options.as_json) {
    auto list = Json::array();
    for (const sql::ScheduleState& schedule : schedules) list.push_back(schedule_json(schedule, now));
    return to_text(Json{{"schedules", std::move(list)}});
  }
  if (schedules.empty()) return "no such schedules\n";
  return render_for_output(table_of(schedules, now));
}

std::string name_of(const Chosen& chosen) {
  return "schedule of task " + printable(chosen.task) +
         (chosen.id.empty() ? "" : " with id " + printable(chosen.id));
}

Failure not_found(const Chosen& chosen) {
  return {ExitCode::not_done,
          "there is no " + name_of(chosen) + "; `postpone schedules list` shows those that there are"};
}

sql::Schedules connect_to_change_schedules(const Invocation& invocation) {
  sql::Schedules schedules = connect_schedules(invocation);
  print_database(schedules.database());
  return schedules;
}

ExitCode run_now(const Invocation& invocation, const Chosen& chosen) {
  const auto job = connect_to_change_schedules(invocation).run(chosen.task, chosen.id);
  if (!job) throw not_found(chosen);
  if (chosen.as_json)
    print(Json{{"task", chosen.task}, {"id", chosen.id}, {"job_id", *job}});
  else
    std::cout << *job << '\n';
  return ExitCode::done;
}

ExitCode set_paused(const Invocation& invocation, const Chosen& chosen, bool paused) {
  sql::Schedules schedules = connect_to_change_schedules(invocation);
  const bool is_there =
      paused ? schedules.pause(chosen.task, chosen.id) : schedules.resume(chosen.task, chosen.id);
  if (!is_there) throw not_found(chosen);
  if (chosen.as_json)
    print(Json{{"task", chosen.task}, {"id", chosen.id}, {"paused", paused}});
  else
    std::cout << name_of(chosen) << (paused ? ": paused\n" : ": resumed\n");
  return ExitCode::done;
}

using ChosenAction = ExitCode (*)(const Invocation& invocation, const Chosen& chosen);

void add_action(Command& schedules, Invocation& invocation, const std::string& name,
                const std::string& description, ChosenAction action) {
  Command* command = schedules.add_subcommand(name, description);
  const auto chosen = std::make_shared<Chosen>();
  nonempty(command->add_option("TASK", chosen->task, "The task of the schedule")->type_name("")->required());
  nonempty(
      command->add_option("--id", chosen->id, "Which of several schedules of the task")->type_name("NAME"));
  command->add_flag("--json", chosen->as_json, "Print JSON");
  command->final_callback([&invocation, chosen, action] {
    invocation.run = [&invocation, chosen, action] { return action(invocation, *chosen); };
  });
}

void add_list(Command& schedules, Invocation& invocation) {
  Command* command = schedules.add_subcommand(
      "list", "List the schedules that supervisors serve or have served: their last ticks and the next");
  const auto options = std::make_shared<ScheduleListOptions>();
  nonempty(command->add_option("--task", options->task, "Only schedules of this task")->type_name("NAME"));
  command->add_flag("--json", options->as_json, "Print JSON");
  add_watched_page(*command, invocation, options->watch,
                   [&invocation, options] { return draw(invocation, *options); });
}

}  // namespace

void add_schedules_commands(Command& app, Invocation& invocation) {
  Command* schedules =
      app.add_subcommand("schedules", "Look at schedules of periodic tasks, run, pause and resume them");
  schedules->require_subcommand(1);
  add_list(*schedules, invocation);
  add_action(*schedules, invocation, "run", "Defer a job now, as a tick of the schedule would", run_now);
  add_action(*schedules, invocation, "pause", "Let its ticks pass without a job, until it is resumed",
             [](const Invocation& i, const Chosen& chosen) { return set_paused(i, chosen, true); });
  add_action(*schedules, invocation, "resume",
             "Let it tick again; what it missed meanwhile is not made up for",
             [](const Invocation& i, const Chosen& chosen) { return set_paused(i, chosen, false); });
}

}  // namespace postpone::cli

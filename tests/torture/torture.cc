// postpone_torture [--seconds N] [--seed S] [--keep DIRECTORY]
//
// Several supervisors work on mixed jobs, while sub-workers, tasks, supervisors, whole families, connections
// and the server are killed, stopped, thawed and restarted. When everything has run dry afterwards, a checker
// compares what the tasks have written into a journal with what the database says (tests/torture/checker.h).
//
//   schedule.cc, load.cc   what is done and what there is to do: pure functions of the seed
//   hands.cc, field.cc     how it is done, and to whom
//   torture_tasks.cc       the tasks, which keep the journal
//   checker.cc             what must hold: a pure function of journal and tables
//   aftermath.cc           what must be left: nothing
//
// Exit status: 0 when everything holds, 1 when not (journal, tables and logs are kept then), 2 for a usage
// error.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/program.h"
#include "tests/torture/aftermath.h"
#include "tests/torture/checker.h"
#include "tests/torture/hands.h"
#include "tests/torture/load.h"

namespace postpone::torture {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kPatience = 60s;  // without any job coming to an end
constexpr auto kTick = 10ms;
constexpr auto kLoadInterval = 200ms;
constexpr int kWaitingJobs = 60;  // kept waiting, about
constexpr int kJobsAtOnce = 20;

struct Options {
  std::chrono::seconds length{60};
  std::uint64_t seed = 1;
  std::string keep = {};
};

std::string directory_for(const Options& options) {
  if (!options.keep.empty()) {
    std::filesystem::create_directories(options.keep);
    return std::filesystem::absolute(options.keep);
  }
  std::string pattern = "/tmp/postpone-torture.XXXXXX";
  if (!::mkdtemp(pattern.data())) sys::throw_errno("mkdtemp");
  return pattern;
}

class Torture {
 public:
  Torture(const Options& options, std::string directory)
      : options_(options),
        directory_(std::move(directory)),
        field_(directory_),
        // Nobody whom we have stopped may keep us waiting for a lock.
        database_(field_.url() + " options='-c lock_timeout=500'"),
        hands_(field_, database_),
        random_(options.seed) {}

  bool run() {
    before_ = descriptors_at_rest();
    torment();
    const bool dry = run_dry();
    if (dry) {
      collect(wait_until_idle(field_, database_));
      collect(find_leaks(field_, database_, before_));
      collect(run_all_at_once(field_, database_));
      collect(find_leaks(field_, database_, before_));
    }
    collect(drain_all(field_, database_));
    history_.journal = read_journal(field_.journal());
    read_tables(database_, history_);
    violations_ = check(history_);
    report();
    return violations_.empty() && complaints_.empty();
  }

  // For those who have to find out what happened.
  void keep() {
    field_.save_logs();
    for (const char* table :
         {"procrastinate_jobs", "procrastinate_events", "postpone_attempts", "procrastinate_workers"})
      tests::run_program({"psql", "--no-psqlrc", "--csv", "--output", directory_ + "/" + table + ".csv",
                          "--command", std::string("SELECT * FROM ") + table + " ORDER BY 1, 2",
                          field_.url()});
  }

 private:
  Descriptors descriptors_at_rest() {
    collect(wait_until_idle(field_, database_));
    return count_descriptors(field_);
  }

  void torment() {
    const auto steps = schedule(options_.seed, options_.length, kFamilies);
    const auto begin = Clock::now();
    auto next = steps.begin();
    for (auto load_at = begin; Clock::now() < begin + options_.length; std::this_thread::sleep_for(kTick)) {
      for (; next != steps.end() && begin + next->at <= Clock::now(); ++next) hands_.carry_out(*next);
      hands_.tick();
      if (Clock::now() < load_at) continue;
      defer_jobs();
      field_.left_of_dismissed();
      load_at = Clock::now() + kLoadInterval;
    }
    hands_.undo_all();
  }

  void defer_jobs() {
    if (!field_.server_runs()) return;
    try {
      if (std::stoi(database_.value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")) >
          kWaitingJobs)
        return;
      std::string calls;
      for (int i = 0; i < kJobsAtOnce; ++i)
        calls += (i == 0 ? "SELECT " : ", ") + defer_call(next_job(random_));
      const auto ids = database_.rows(calls);
      for (const std::string& id : ids.front()) history_.acknowledged.push_back(std::stoll(id));
    } catch (const SqlFailed&) {  // perhaps they were deferred all the same; nobody was told so
    }
  }

  static std::string defer_call(const JobPlan& plan) {
    std::string call = "postpone_defer(" + quoted(plan.task) + ", " + quoted(plan.args) + ", " +
                       quoted(kQueue) + ", " + std::to_string(plan.priority);
    if (!plan.lock.empty()) call += ", lock => " + quoted(plan.lock);
    if (plan.delay > 0ms)
      call += ", scheduled_at => now() + interval '" + std::to_string(plan.delay.count()) + " ms'";
    return call + ")";
  }

  // False when jobs wait or run, and nothing happens any more.
  bool run_dry() {
    std::string before;
    for (auto changed = Clock::now(); Clock::now() - changed < kPatience;
         std::this_thread::sleep_for(100ms)) {
      hands_.tick();
      const auto [unfinished, events] = unfinished_and_events();
      if (unfinished == "0" && !hands_.rescues_pending()) return true;
      if (events != before) changed = Clock::now();
      before = events;
    }
    complaints_.push_back("the queue does not run dry");
    return false;
  }

  std::pair<std::string, std::string> unfinished_and_events() {
    try {
      const auto counts = database_.rows(
          "SELECT count(*) FILTER (WHERE status IN ('todo', 'doing')), "
          "(SELECT count(*) FROM procrastinate_events) FROM procrastinate_jobs");
      return {counts.front()[0], counts.front()[1]};
    } catch (const SqlFailed&) {  // our connection is from before the server's last end
      return {};
    }
  }

  void collect(Complaints found) { complaints_.insert(complaints_.end(), found.begin(), found.end()); }

  // --- what is said in the end ---

  void report() {
    std::cout << "seed " << options_.seed << ", " << options_.length.count() << " s, " << field_.started()
              << " families\n";
    report_counts("jobs", "SELECT status, count(*) FROM procrastinate_jobs GROUP BY 1 ORDER BY 1");
    report_counts("attempts", "SELECT cause, count(*) FROM postpone_attempts GROUP BY 1 ORDER BY 1");
    std::cout << "executions: " << executions(history_.journal).size() << " in " << history_.journal.size()
              << " lines of the journal\ndeeds:";
    for (const auto& [deed, count] : hands_.done()) std::cout << ' ' << to_string(deed) << ' ' << count;
    std::cout << '\n';
    report_rescues();
    for (const std::string& complaint : complaints_) std::cout << "LEFT: " << complaint << '\n';
    for (const Violation& violation : violations_)
      std::cout << "VIOLATION " << to_string(violation.rule) << ": job " << violation.job_id << ": "
                << violation.text << '\n'
                << story(history_, violation.job_id);
    std::cout << violations_.size() << " violations, " << complaints_.size() << " leaks\n";
  }

  void report_counts(const char* what, const char* sql) {
    std::cout << what << ':';
    for (const Row& row : database_.rows(sql)) std::cout << ' ' << row[0] << ' ' << row[1];
    std::cout << '\n';
  }

  // From the kill of a sub-worker to the next start of the job that it ran.
  void report_rescues() {
    const auto all = executions(history_.journal);
    std::vector<std::pair<std::int64_t, std::int64_t>> times;  // nanoseconds, job
    for (const KilledRun& run : hands_.killed_runs()) {
      const auto again = std::find_if(all.begin(), all.end(), [&](const Execution& execution) {
        return execution.job_id == run.job_id && execution.started_ns > run.at_ns;
      });
      if (again != all.end() && was_rescued(run.job_id, again->attempt - 1))
        times.emplace_back(again->started_ns - run.at_ns, run.job_id);
    }
    if (times.empty()) return;
    std::sort(times.begin(), times.end());
    std::cout << "rescues: " << times.size() << ", half of them within "
              << times[times.size() / 2].first / 1'000'000 << " ms, the slowest (job " << times.back().second
              << ") " << times.back().first / 1'000'000 << " ms\n";
  }

  bool was_rescued(std::int64_t job_id, int attempt) const {
    return std::any_of(history_.attempts.begin(), history_.attempts.end(), [&](const AttemptRow& row) {
      return row.job_id == job_id && row.attempt == attempt && row.cause == "worker_lost";
    });
  }

  const Options options_;
  const std::string directory_;
  Field field_;
  Database database_;
  Hands hands_;
  Random random_;
  Descriptors before_;
  History history_;
  Complaints complaints_;
  std::vector<Violation> violations_;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Options> parse(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    if (i + 1 == arguments.size()) return std::nullopt;
    const std::string& value = arguments[i + 1];
    const auto count = number(value);
    if (arguments[i] == "--seconds" && count && *count > 0)
      options.length = std::chrono::seconds(*count);
    else if (arguments[i] == "--seed" && count)
      options.seed = *count;
    else if (arguments[i] == "--keep" && !value.empty())
      options.keep = value;
    else
      return std::nullopt;
  }
  return options;
}

int torture(const Options& options) {
  const rlimit no_cores{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_cores);
  const std::string directory = directory_for(options);
  std::cout << "torture: seed " << options.seed << ", " << options.length.count() << " s" << std::endl;
  Torture run(options, directory);
  bool good = false;
  try {
    good = run.run();
  } catch (const std::exception& error) {
    std::cerr << "torture: " << error.what() << '\n';
  }
  if (good && options.keep.empty()) {
    std::filesystem::remove_all(directory);
    return 0;
  }
  run.keep();
  std::cout << "journal, tables and logs are in " << directory << '\n';
  return good ? 0 : 1;
}

}  // namespace
}  // namespace postpone::torture

int main(int argc, char** argv) {
  const auto options = postpone::torture::parse({argv + 1, argv + argc});
  if (!options) {
    std::cerr << "usage: torture [--seconds N] [--seed S] [--keep DIRECTORY]\n";
    return 2;
  }
  try {
    return postpone::torture::torture(*options);
  } catch (const std::exception& error) {
    std::cerr << "torture: " << error.what() << '\n';
    return 1;
  }
}

#include "tests/torture/field.h"

#include <fstream>
#include <utility>

#include "sql/schema.h"
#include "tests/torture/rows.h"

namespace postpone::torture {
namespace {

// Every limit is short, so that a run of some seconds passes all of them many times.
constexpr const char* kTimes = R"(
polling_interval = "1s"
shutdown_grace = "1s"
start_deadline = "10s"
subworker_timeout = "1s"
respawn_backoff = "20ms"
respawn_backoff_max = "500ms"
heartbeat_interval = "200ms"
fence_after = "700ms"
stalled_after = "2s"
[stalled]
max_stalled = 5
)";

// What is special about each family, so that the ways in which a sub-worker goes on meet too: few
// connections, task processes that are replaced now and then, and after each job.
constexpr std::array kPoolSizes = {kSubWorkers, 2, kSubWorkers};
constexpr std::array kGroupKeys = {"", "max_jobs = 15\nmax_jobs_jitter = 10\n",
                                   "fresh_process_per_job = true\n"};

char letter(int index) {
  return static_cast<char>('a' + index);
}

}  // namespace

std::string own_queue(int family) {
  return std::string("only-") + letter(family);
}

Field::Field(std::string directory) : directory_(std::move(directory)) {
  // The checker judges the order of jobs by when they were committed.
  Database(url()).rows("ALTER SYSTEM SET track_commit_timestamp = on");
  stop_server("fast");
  start_server();
  sql::ConnectOptions options;
  options.url = url();
  sql::apply_schema(options);
  for (int i = 0; i < kFamilies; ++i) start(i);
  for (auto& family : families_) family->wait_until_ready(kSubWorkers);
}

std::string Field::config(int index) const {
  return "[supervisor]\nname = \"" + std::string(1, letter(index)) + "\"\n" + kTimes +
         "[database]\npool_size = " + std::to_string(kPoolSizes.at(index)) +
         "\nconnect_timeout = \"2s\"\nstatement_timeout = \"5s\"\n" +
         "[[group]]\nname = \"t\"\nexecutable = \"" POSTPONE_TORTURE_TASKS "\"\nqueues = [\"" + kQueue +
         "\", \"" + own_queue(index) + "\"]\ncount = " + std::to_string(kSubWorkers) +
         "\ntime_limit = \"2s\"\nabort_grace = \"200ms\"\nmax_output = \"64KiB\"\n" + kGroupKeys.at(index) +
         "environment = { TORTURE_JOURNAL = \"" + journal() + "\" }\n";
}

void Field::start(int index) {
  families_.at(index) = std::make_unique<tests::Family>(url(), config(index));
  numbers_.at(index) = ++started_;
}

void Field::dismiss(int index) {
  dismissed_.push_back({numbers_.at(index), std::move(families_.at(index))});
}

void Field::stop_server(const char* mode) {
  server_.stop(mode);
  server_runs_ = false;
}

void Field::start_server() {
  server_.start();
  server_runs_ = true;
}

std::vector<std::string> Field::left_of_dismissed() {
  std::vector<std::string> left;
  std::erase_if(dismissed_, [&](const Dismissed& old) {
    const auto processes = old.family->processes();
    for (const auto& [pid, title] : processes) left.push_back(std::to_string(pid) + " " + title);
    if (processes.empty()) save_log(old.number, *old.family);
    return processes.empty();
  });
  return left;
}

void Field::save_logs() const {
  for (const Dismissed& old : dismissed_) save_log(old.number, *old.family);
  for (int i = 0; i < kFamilies; ++i)
    if (families_.at(i)) save_log(numbers_.at(i), *families_.at(i));
}

void Field::save_log(int number, const tests::Family& family) const {
  std::ofstream(directory_ + "/family-" + std::to_string(number) + ".log") << family.log();
}

}  // namespace postpone::torture

// testing::run(): one job, in the process of a test.
#include <atomic>
#include <sstream>

#include "captured_output.h"
#include "outcome.h"

namespace libtask::testing {
namespace detail {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// A giver of jobs that asks them to stop when the test wants it.
class TestGiver : public libtask::detail::JobGiver {
 public:
  explicit TestGiver(const Options& options) : options_(options), begin_(now()) {}

  std::optional<AbortReason> stop_wish(std::int64_t) override {
    ++looks_;
    const bool is_due = (options_.abort_at_look && looks_ >= *options_.abort_at_look) ||
                        (options_.abort_after && now() - begin_ >= *options_.abort_after);
    if (!is_due) return std::nullopt;
    is_asked_to_stop = options_.abort_reason == AbortReason::requested;
    return options_.abort_reason;
  }
  void tell_progress(const wire::Progress& progress) override {
    last_progress = {.done = progress.done, .total = progress.total, .note = progress.note};
  }
  int stop_descriptor() const override { return -1; }
  std::optional<std::chrono::milliseconds> look_interval() const override {
    return std::chrono::milliseconds(10);
  }
  void tell_value(const wire::Value& value) override { result = value.json; }
  // Its levels are in the same order.
  void log(const wire::Log& line) override {
    logs.push_back({.level = static_cast<LogLevel>(line.level), .text = line.text, .fields = line.fields});
  }
  SteadyTime now() override {
    return options_.clock != nullptr ? SteadyTime(options_.clock->now().time_since_epoch())
                                     : std::chrono::steady_clock::now();
  }
  std::chrono::system_clock::time_point system_now() override {
    return options_.clock != nullptr
               ? std::chrono::time_point_cast<std::chrono::system_clock::duration>(options_.clock->now())
               : std::chrono::system_clock::now();
  }

  std::atomic<bool> is_asked_to_stop = false;  // by a person, that is
  std::optional<Progress> last_progress;
  std::optional<std::string> result;
  std::vector<Logged> logs;

 private:
  const Options& options_;
  const SteadyTime begin_;
  int looks_ = 0;
};

TimePoint now_of(const Options& options) {
  return options.clock != nullptr
             ? options.clock->now()
             : std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

void append_lines(std::vector<LogLine>& log, const char* stream, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) log.push_back({.stream = stream, .text = line});
}

}  // namespace

Outcome run_here(const wire::Run& run, const Registry& registry, const Options& options) {
  TestGiver giver(options);
  std::optional<CapturedOutput> output;
  if (options.capture_output) output.emplace();
  const wire::Result result = libtask::detail::execute(run, registry, giver);
  Outcome outcome = outcome_of(run, result, registry, now_of(options), options.uncounted);
  if (giver.is_asked_to_stop) end_if_it_would_wait(outcome);
  outcome.progress = giver.last_progress;
  outcome.result = giver.result;
  outcome.logs = giver.logs;
  if (!output) return outcome;
  output->end();
  append_lines(outcome.log, "stdout", output->out());
  append_lines(outcome.log, "stderr", output->err());
  return outcome;
}

void require_sound(const Registry& registry) {
  std::string faults;
  for (const std::string& fault : libtask::detail::faults_of(registry))
    faults.append(faults.empty() ? "" : "; ").append(fault);
  if (!faults.empty()) throw std::logic_error("App::run() would refuse these tasks: " + faults);
}

SetUp::SetUp(const Registry& registry) : registry_(registry) {
  if (!libtask::detail::set_up(registry))
    throw std::runtime_error("the set-up of the App has failed; standard error says why");
}

SetUp::~SetUp() {
  libtask::detail::tear_down(registry_);
}

}  // namespace detail

Outcome run(const App& app, const Call& call, const Options& options) {
  const detail::Registry& registry = libtask::detail::AppAccess::registry(app);
  detail::require_sound(registry);
  const detail::SetUp set_up(registry);
  return detail::run_here(detail::run_of(registry, call, options), registry, options);
}

}  // namespace libtask::testing

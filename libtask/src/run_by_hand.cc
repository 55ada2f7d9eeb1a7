#include "run_by_hand.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <system_error>

#include "execute.h"
#include "process_life.h"
#include "termination.h"
#include "testing/outcome.h"

namespace libtask {
namespace detail {

// What is JSON already.
struct JsonText {
  std::string text;
};

}  // namespace detail

template <>
struct ToJson<detail::JsonText> {
  static std::string text(const detail::JsonText& value) { return value.text; }
};

}  // namespace libtask

namespace libtask::detail {
namespace {

using testing::Outcome;
using testing::Status;

constexpr int kSucceeded = 0;
constexpr int kNoSuccess = 1;
constexpr int kNoSense = 2;

// --- the words of the line ---------------------------------------------------------------------------

template <class Number>
Number number_of(const std::string& option, const std::string& text, Number lowest) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < lowest)
    throw std::invalid_argument(option + ": \"" + text + "\" is no whole number" +
                                (lowest == 1 ? " from 1 up" : ""));
  return number;
}

// "500ms", "1.5s", "5m", "2h".
std::chrono::microseconds duration_of(const std::string& option, const std::string& text) {
  double count = 0;
  const auto [unit, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view name(unit, text.data() + text.size());
  const double unit_s = name == "ms" ? 1e-3 : name == "s" ? 1 : name == "m" ? 60 : name == "h" ? 3600 : 0;
  constexpr double kYear_s = 365.0 * 24 * 3600;
  if (error != std::errc() || unit_s == 0 || !(count >= 0) || count * unit_s > kYear_s)
    throw std::invalid_argument(option + ": \"" + text + "\" is no duration; write 500ms, 1.5s, 5m or 2h");
  return std::chrono::microseconds(std::llround(count * unit_s * 1e6));
}

void take_option(RunByHand& run, const std::string& option, const std::string& value) {
  if (option == "--attempt") {
    run.options.attempt = number_of<int>(option, value, 1);
  } else if (option == "--abort-after") {
    run.options.abort_after = duration_of(option, value);
  } else if (option == "--id") {
    run.options.id = number_of<std::int64_t>(option, value, 1);
  } else if (option == "--queue") {
    run.options.queue = value;
  } else if (option == "--priority") {
    run.options.priority = number_of<int>(option, value, std::numeric_limits<int>::min());
  } else if (option == "--lock") {
    run.options.lock = value;
  } else if (option == "--meta") {
    run.meta = value;
  } else if (option == "--deferred-by") {
    run.options.deferred_by = number_of<std::int64_t>(option, value, 1);
  } else {
    throw std::invalid_argument("run has no option " + option + "; see --help");
  }
}

// --- the report ----------------------------------------------------------------------------------------

double seconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1e6;
}

void print_deferred(const testing::Deferred& job) {
  std::cerr << "would defer " << job.task << ' ' << job.args << " (queue " << job.queue;
  if (job.priority != 0) std::cerr << ", priority " << job.priority;
  if (job.lock) std::cerr << ", lock " << *job.lock;
  if (job.queueing_lock) std::cerr << ", queueing lock " << *job.queueing_lock;
  if (job.delay.count() > 0) std::cerr << ", in " << seconds(job.delay) << " s";
  std::cerr << ")\n";
}

// Of a job that would not be retried although its task has a retry strategy.
std::string why_no_retry(const RetryOptions& retry, const wire::Result& result) {
  if (!result.retryable) return "not one of the exceptions to retry on";
  return "it has had all of its " + std::to_string(retry.max_attempts.value_or(0)) + " retries";
}

void print_retry(const Outcome& outcome, const TaskEntry& task, const wire::Result& result) {
  if (outcome.retry) {
    std::cerr << "would be retried in " << seconds(outcome.retry->in) << " s";
    if (result.retry_queue) std::cerr << ", in queue " << *result.retry_queue;
    if (result.retry_priority) std::cerr << ", with priority " << *result.retry_priority;
    if (result.retry_lock) std::cerr << ", with lock " << *result.retry_lock;
    std::cerr << (result.retry_in_us && !result.retry_counts ? ", whatever its max_attempts\n" : "\n");
  } else if (outcome.cause == testing::Cause::exception && task.retry) {
    std::cerr << "would not be retried: " << why_no_retry(*task.retry, result) << '\n';
  }
}

void print_outcome(const Outcome& outcome, const TaskEntry& task, const wire::Result& result,
                   std::chrono::duration<double> run_time) {
  switch (outcome.cause) {
    case testing::Cause::succeeded:
      for (const testing::Deferred& job : outcome.defers) print_deferred(job);
      std::cerr << "succeeded in " << run_time.count() << " s\n";
      return;
    case testing::Cause::bad_arguments:
      std::cerr << "bad arguments: " << outcome.message << '\n';
      return;
    case testing::Cause::exception:
      std::cerr << "failed: " << outcome.exception->type << (outcome.message.empty() ? "" : ": ")
                << outcome.message << '\n';
      break;
    default:
      std::cerr << "aborted: " << outcome.message << '\n';
      break;
  }
  print_retry(outcome, task, result);
}

// An exception's text may be anything. JSON is UTF-8 without NUL.
Value text_value(const std::string& text) {
  try {
    return text;
  } catch (const std::invalid_argument&) {
    std::string plain = text;
    for (char& letter : plain) {
      if (letter == '\0' || (static_cast<unsigned char>(letter) & 0x80U) != 0) letter = '?';
    }
    return plain;
  }
}

Value optional_text_value(const std::optional<std::string>& text) {
  if (!text) return nullptr;
  return text_value(*text);
}

Value json_value(const std::optional<std::string>& json) {
  if (!json) return nullptr;
  return JsonText{*json};
}

Value defers_value(const std::vector<testing::Deferred>& defers) {
  std::vector<Value> jobs;
  for (const testing::Deferred& job : defers) {
    jobs.push_back({{"task", text_value(job.task)},
                    {"args", Args::from_text(job.args)},
                    {"queue", text_value(job.queue)},
                    {"priority", job.priority},
                    {"lock", optional_text_value(job.lock)},
                    {"queueing_lock", optional_text_value(job.queueing_lock)},
                    {"delay_s", seconds(job.delay)},
                    {"meta", json_value(job.meta)}});
  }
  return jobs;
}

Value retry_value(const std::optional<testing::NextAttempt>& retry) {
  if (!retry) return nullptr;
  return {{"in_s", seconds(retry->in)},
          {"priority", retry->priority},
          {"queue", retry->queue},
          {"lock", retry->lock},
          {"counts", retry->counts}};
}

constexpr std::array kLevels = {"debug", "info", "warning", "error"};

Value logs_value(const std::vector<testing::Logged>& logs) {
  std::vector<Value> lines;
  for (const testing::Logged& line : logs)
    lines.push_back({{"level", kLevels.at(static_cast<std::size_t>(line.level))},
                     {"text", text_value(line.text)},
                     {"fields", JsonText{line.fields}}});
  return lines;
}

Value progress_value(const std::optional<testing::Progress>& progress) {
  if (!progress) return nullptr;
  return {{"done", progress->done}, {"total", progress->total}, {"note", text_value(progress->note)}};
}

std::string json_of(const Outcome& outcome, const wire::Run& run, std::chrono::duration<double> run_time) {
  return Args{{"task", run.task},
              {"attempt", run.attempt},
              {"status", to_string(outcome.status)},
              {"cause", to_string(outcome.cause)},
              {"exception_type", outcome.exception ? text_value(outcome.exception->type) : nullptr},
              {"message", text_value(outcome.message)},
              {"retry", retry_value(outcome.retry)},
              {"defers", defers_value(outcome.defers)},
              {"result", json_value(outcome.result)},
              {"progress", progress_value(outcome.progress)},
              {"logs", logs_value(outcome.logs)},
              {"run_time_s", run_time.count()}}
             .text() +
         "\n";
}

// --- the run -------------------------------------------------------------------------------------------

// What the run has to say goes to stderr: stdout is the handler's.
class Terminal : public JobGiver {
 public:
  Terminal(std::optional<std::chrono::microseconds> abort_after, bool tells)
      : abort_after_(abort_after), tells_(tells) {}

  // RunningJob sees the signals.
  std::optional<AbortReason> stop_wish(std::int64_t) override {
    if (!abort_after_ || now() - begin_ < *abort_after_) return std::nullopt;
    is_asked_to_stop = true;
    return AbortReason::requested;
  }
  void tell_progress(const wire::Progress& progress) override {
    last_progress = {.done = progress.done, .total = progress.total, .note = progress.note};
    if (!tells_) return;
    std::cerr << "progress: " << progress.done;
    if (progress.total > 0) std::cerr << " of " << progress.total;
    if (!progress.note.empty()) std::cerr << ": " << progress.note;
    std::cerr << '\n';
  }
  int stop_descriptor() const override { return -1; }
  std::optional<std::chrono::milliseconds> look_interval() const override {
    return abort_after_ ? std::optional(std::chrono::milliseconds(10)) : std::nullopt;
  }
  // Its levels are in the same order.
  void log(const wire::Log& line) override {
    logs.push_back({.level = static_cast<LogLevel>(line.level), .text = line.text, .fields = line.fields});
    if (!tells_) return;
    std::cerr << kLevels.at(static_cast<std::size_t>(line.level)) << ": " << line.text;
    if (line.fields != "{}") std::cerr << ' ' << line.fields;
    std::cerr << '\n';
  }
  void tell_value(const wire::Value& value) override {
    result = value.json;
    if (tells_) std::cerr << "result: " << value.json << '\n';
  }

  std::atomic<bool> is_asked_to_stop = false;
  std::optional<testing::Progress> last_progress;
  std::optional<std::string> result;
  std::vector<testing::Logged> logs;

 private:
  const std::optional<std::chrono::microseconds> abort_after_;
  const bool tells_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

std::string read_all(std::istream& stream, const std::string& name) {
  try {
    return {std::istreambuf_iterator<char>(stream), {}};
  } catch (const std::ios_base::failure&) {  // a directory
    throw std::invalid_argument("nothing can be read from " + name);
  }
}

// A JSON object, called so: a text of its own, of standard input ("-"), of a file ("@FILE").
Args read_object(const std::string& word, const std::string& name) {
  std::string text = word;
  if (word == "-") text = read_all(std::cin, "standard input");
  if (word.starts_with('@')) {
    std::ifstream file(word.substr(1));
    if (!file)
      throw std::invalid_argument("there is no file " + word.substr(1) + " to read " + name + " from");
    text = read_all(file, word.substr(1));
  }
  try {
    return Args::from_text(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(name + (name == "the meta" ? " is " : " are ") + error.what());
  }
}

// Standard output, which the handler does not get while it lives: its own goes to standard error.
class StandardOutput {
 public:
  StandardOutput() : descriptor_(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  ~StandardOutput() { close(descriptor_); }
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  void put_back() const { dup2(descriptor_, STDOUT_FILENO); }

 private:
  int descriptor_;
};

int exit_status_of(const Outcome& outcome) {
  if (outcome.cause == testing::Cause::bad_arguments) return kNoSense;
  return outcome.status == Status::succeeded ? kSucceeded : kNoSuccess;
}

int run_and_report(const Registry& registry, const TaskEntry& task, const wire::Run& job,
                   const RunByHand& wishes) {
  std::optional<StandardOutput> output;
  if (wishes.as_json) output.emplace();
  catch_termination_by_hand();
  if (!set_up(registry)) return kNoSuccess;
  Terminal terminal(wishes.options.abort_after, !wishes.as_json);
  const auto begin = std::chrono::steady_clock::now();
  const wire::Result result = execute(job, registry, terminal);
  const std::chrono::duration<double> run_time = std::chrono::steady_clock::now() - begin;
  Outcome outcome = testing::detail::outcome_of(
      job, result, registry, std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()));
  if (terminal.is_asked_to_stop) testing::detail::end_if_it_would_wait(outcome);
  outcome.progress = terminal.last_progress;
  outcome.result = terminal.result;
  outcome.logs = terminal.logs;
  // Before standard output is put back, which has the JSON and nothing else.
  const bool is_torn_down = tear_down(registry);
  std::cout.flush();
  std::fflush(stdout);
  if (output) {
    output->put_back();
    std::cout << json_of(outcome, job, run_time);
  } else {
    print_outcome(outcome, task, result, run_time);
  }
  const int status = exit_status_of(outcome);
  return !is_torn_down && status == kSucceeded ? kNoSuccess : status;
}

}  // namespace

RunByHand read_run(const std::vector<std::string>& words) {
  RunByHand run;
  std::vector<std::string> plain;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--json") {
      run.as_json = true;
    } else if (word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos && i + 1 == words.size())
        throw std::invalid_argument(word + " needs a value");
      take_option(run, word.substr(0, equals),
                  equals == std::string::npos ? words[++i] : word.substr(equals + 1));
    } else {
      plain.push_back(word);
    }
  }
  if (plain.empty() || plain.size() > 2)
    throw std::invalid_argument(
        "run takes the name of a task, and its arguments as one JSON text; see --help");
  run.task = plain[0];
  if (plain.size() == 2) run.args = plain[1];
  return run;
}

int run_by_hand(const Registry& registry, std::string_view program, RunByHand run) {
  const TaskEntry* task = registry.find(run.task);
  wire::Run job;
  try {
    if (task == nullptr)
      throw std::invalid_argument("no task is called \"" + run.task + "\"; " + registry.nearest(run.task));
    const testing::Call call(run.task, read_object(run.args, "the arguments"));
    run.options.meta = read_object(run.meta, "the meta");
    job = testing::detail::run_of(registry, call, run.options);
  } catch (const std::invalid_argument& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return kNoSense;
  }
  const int status = run_and_report(registry, *task, job, run);
  if (std::cout.flush() && std::fflush(stdout) == 0) return status;
  std::cerr << program << ": what the job wrote to standard output could not be written\n";
  return status == kSucceeded ? kNoSuccess : status;
}

}  // namespace libtask::detail

#include "running_job.h"

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

#include "json_text.h"
#include "thrown.h"

namespace libtask {
namespace detail {
namespace {

using namespace std::chrono_literals;

constexpr auto kProgressInterval = 100ms;
// Leaves room in the result's frame for everything else in it.
constexpr std::size_t kMaxDeferredBytes = 15UL * 1024 * 1024;
static_assert(kMaxDeferredBytes < wire::kMaxFrameBytes);

// A lock that is "" stands for none.
std::optional<std::string> lock_of(const std::optional<std::string>& asked,
                                   const std::optional<std::string>& usual) {
  std::optional<std::string> lock = asked ? asked : usual;
  if (lock && lock->empty()) lock.reset();
  return lock;
}

std::size_t bytes_of(const wire::DeferredJob& job) {
  constexpr std::size_t kFixed = 64;  // lengths, numbers, flags
  return kFixed + job.task.size() + job.args.size() + job.queue.size() + job.lock.value_or("").size() +
         job.queueing_lock.value_or("").size() + job.meta.size();
}

constexpr std::size_t kMaxNoteBytes = 256;
constexpr std::size_t kMaxMetaBytes = 8UL * 1024;
constexpr std::size_t kMaxResultBytes = 1024UL * 1024;

// Is it one JSON value, and no more?
bool is_json(const std::string& text) {
  try {
    return object_keys("{\"result\":" + text + "}").size() == 1;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace

wire::DeferredJob deferred_job(const Registry& registry, std::string_view task, const Args& args,
                               const DeferOptions& options) {
  if (task.empty()) throw std::invalid_argument("a job cannot be deferred without the name of its task");
  if (options.meta && options.meta->text().size() > kMaxMetaBytes)
    throw std::length_error(
        "the meta of a deferred job is longer than 8 KiB: what is large belongs into its arguments");
  if (options.delay < 0us) throw std::invalid_argument("a job cannot be deferred with a negative delay");
  static const TaskEntry unknown{};
  const TaskEntry* known = registry.find(task);
  const TaskEntry& usual = known != nullptr ? *known : unknown;
  return {.task = std::string(task),
          .args = args.text(),
          .queue = options.queue.value_or(usual.queue),
          .priority = options.priority.value_or(usual.priority),
          .lock = lock_of(options.lock, usual.lock),
          .queueing_lock = lock_of(options.queueing_lock, usual.queueing_lock),
          .delay_us = options.delay.count(),
          .meta = options.meta ? options.meta->text() : ""};
}

RunningJob::RunningJob(const wire::Run& run, const Registry& registry, JobGiver& giver)
    : run_(run), registry_(registry), giver_(giver), abort_signs_(giver, run.job_id, run.time_limit_ms) {}

// Progress is one thread's; any thread may ask this.
bool RunningJob::should_abort() {
  if (std::this_thread::get_id() == thread_ && untold_ && giver_.now() >= next_progress_)
    tell_untold_progress();
  return abort_signs_.look();
}

const std::string& RunningJob::meta() const {
  static const std::string kNothing = "{}";
  return run_.meta.empty() ? kNothing : run_.meta;
}

void RunningJob::progress(std::uint64_t done, std::uint64_t total, std::string_view note) {
  untold_ = wire::Progress{.job_id = run_.job_id,
                           .done = done,
                           .total = total,
                           .note = std::string(begin_of(note, kMaxNoteBytes))};
  if (giver_.now() >= next_progress_) tell_untold_progress();
}

void RunningJob::tell_untold_progress() {
  if (!untold_) return;
  giver_.tell_progress(*untold_);
  untold_.reset();
  next_progress_ = giver_.now() + kProgressInterval;
}

void RunningJob::result(const Value& value) {
  const std::string& text = value.text();
  if (text.size() > kMaxResultBytes) {
    throw std::length_error(
        "the result of job " + std::to_string(run_.job_id) + " has " + std::to_string(text.size()) +
        " bytes, more than the 1 MiB that a result may have: store it elsewhere, and give back where");
  }
  if (!is_json(text))
    throw std::invalid_argument("the result of job " + std::to_string(run_.job_id) + " is no JSON");
  result_ = text;
}

void RunningJob::tell_result() {
  if (result_) giver_.tell_value({run_.job_id, *result_});
}

// The wire's levels are in the same order.
void RunningJob::log(LogLevel level, std::string_view text, const Args& fields) {
  giver_.log({.job_id = run_.job_id,
              .level = static_cast<wire::Log::Level>(level),
              .text = shortened(std::string(text)),
              .fields = fields.text()});
}

void RunningJob::defer(std::string_view task, const Args& args, const DeferOptions& options) {
  wire::DeferredJob job = deferred_job(registry_, task, args, options);
  const std::size_t bytes = bytes_of(job);
  if (deferred_bytes_ + bytes > kMaxDeferredBytes) {
    throw std::length_error("job " + std::to_string(run_.job_id) + " defers more than 15 MiB (" +
                            std::to_string(deferred_.size()) +
                            " jobs so far): let it defer fewer jobs that defer the rest");
  }
  deferred_bytes_ += bytes;
  deferred_.push_back(std::move(job));
}

}  // namespace detail

std::int64_t Context::id() const {
  return job_.run().job_id;
}
int Context::attempt() const {
  return job_.run().attempt;
}
const std::string& Context::task() const {
  return job_.run().task;
}
const std::string& Context::queue() const {
  return job_.run().queue;
}
int Context::priority() const {
  return job_.run().priority;
}
const std::string& Context::lock() const {
  return job_.run().lock;
}
const std::string& Context::args() const {
  return job_.run().args;
}
const std::string& Context::meta() const {
  return job_.meta();
}
std::optional<std::chrono::system_clock::time_point> Context::scheduled_at() const {
  using std::chrono::system_clock;
  if (!job_.run().scheduled_at_us) return std::nullopt;
  // Beyond the clock's range lies what nobody waits for.
  const std::chrono::microseconds since_1970(*job_.run().scheduled_at_us);
  constexpr auto kFirst = std::chrono::ceil<std::chrono::microseconds>(system_clock::duration::min());
  constexpr auto kLast = std::chrono::floor<std::chrono::microseconds>(system_clock::duration::max());
  return system_clock::time_point(std::clamp(since_1970, kFirst, kLast));
}
bool Context::should_abort() {
  return job_.should_abort();
}
std::optional<AbortReason> Context::abort_reason() const {
  return job_.abort_signs().reason();
}
std::stop_token Context::stop_token() {
  return job_.abort_signs().token();
}
void Context::on_abort(std::function<void(AbortReason)> callback) {
  job_.abort_signs().call(std::move(callback));
}
std::optional<std::chrono::steady_clock::time_point> Context::deadline() const {
  return job_.abort_signs().deadline();
}
std::optional<std::chrono::milliseconds> Context::time_left() const {
  const auto deadline = job_.abort_signs().deadline();
  if (!deadline) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(*deadline - job_.now());
}
void Context::progress(std::uint64_t done, std::uint64_t total, std::string_view note) {
  job_.progress(done, total, note);
}
void Context::result(const Value& value) {
  job_.result(value);
}
void Context::log(LogLevel level, std::string_view text, const Args& fields) {
  job_.log(level, text, fields);
}
void Context::retry_in(std::chrono::duration<double> wait, std::string reason, RetryChanges changes) {
  throw Retry{wait, std::move(reason), std::move(changes)};
}
void Context::retry_at(std::chrono::system_clock::time_point when, std::string reason, RetryChanges changes) {
  const std::chrono::duration<double> wait = when - job_.system_now();
  throw Retry{wait, std::move(reason), std::move(changes)};
}
void Context::defer(std::string_view task, const Args& args, const DeferOptions& options) {
  job_.defer(task, args, options);
}

}  // namespace libtask

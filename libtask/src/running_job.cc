#include "running_job.h"

#include <algorithm>
#include <stdexcept>
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
constexpr std::size_t kMaxFieldBytes = 16UL * 1024;
constexpr std::size_t kMaxTextBytes = 8UL * 1024;

std::size_t characters_in(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

// The text of a log line whose fields are too large. They are left out here and not by the sub-worker: a frame could not hold
// them, or they would count as a flood of output.
std::string without_fields(std::string_view text, std::size_t bytes) {
  const std::string why = " (its fields are left out: " + std::to_string(bytes) + " bytes, of at most " +
                          std::to_string(kMaxFieldBytes) + ")";
  return std::string(begin_of(text, kMaxTextBytes - why.size())) + why;
}

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

DeferOptions options_of(const NewJob& job) {
  const JobOptions& options = job.options();
  const std::string subject = "a job of " + job.task() + " that a handler defers ";
  if (options.schedule_at)
    throw std::invalid_argument(subject +
                                "has no schedule_at(): its time counts from the success of this job");
  if (options.on_conflict == OnConflict::replace)
    throw std::invalid_argument(subject + "replaces no other: the one that waits stands for it");
  return {.queue = options.queue,
          .priority = options.priority,
          .lock = options.lock,
          .queueing_lock = options.queueing_lock,
          .delay = options.schedule_in.value_or(0us),
          .meta = options.meta};
}

Retry possible(Retry retry) {
  const auto& [priority, queue, lock, counts] = retry.changes;
  if (queue && (queue->empty() || characters_in(*queue) > kMaxNameCharacters))
    throw std::invalid_argument("the queue of a retry has 1 to 128 characters, and not " +
                                std::to_string(characters_in(*queue)));
  if (lock && lock->empty())
    throw std::invalid_argument(
        "the lock of a retry is empty: a retry may change a job's lock, not take it away");
  if (lock && lock->size() > kMaxLockBytes)
    throw std::invalid_argument("the lock of a retry has " + std::to_string(lock->size()) +
                                " bytes, more than the 2000 that a lock may have");
  for (const auto* text : {&queue, &lock}) json_text(text->value_or(""));
  return retry;
}

RunningJob::RunningJob(const wire::Run& run, const Registry& registry, JobGiver& giver)
    : run_(run), registry_(registry), giver_(giver), abort_signs_(giver, run.job_id, run.time_limit_ms) {}

// By any thread, also while another one tells something, which may take long: what is untold then waits for the next look.
bool RunningJob::should_abort() {
  if (const std::unique_lock telling(telling_, std::try_to_lock);
      telling && untold_ && giver_.now() >= next_progress_)
    send_progress();
  return abort_signs_.look();
}

void RunningJob::will_finish() {
  if (should_abort() || abort_signs_.end_telling()) throw Aborted{};
}

const std::string& RunningJob::meta() const {
  static const std::string kNothing = "{}";
  return run_.meta.empty() ? kNothing : run_.meta;
}

void RunningJob::progress(std::uint64_t done, std::uint64_t total, std::string_view note) {
  const std::lock_guard telling(telling_);
  untold_ = wire::Progress{.job_id = run_.job_id,
                           .done = done,
                           .total = total,
                           .note = std::string(begin_of(note, kMaxNoteBytes))};
  if (giver_.now() >= next_progress_) send_progress();
}

void RunningJob::tell_untold_progress() {
  const std::lock_guard telling(telling_);
  if (untold_) send_progress();
}

void RunningJob::send_progress() {
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
  wire::Log line{.job_id = run_.job_id, .level = static_cast<wire::Log::Level>(level)};
  if (fields.text().size() > kMaxFieldBytes) {
    line.text = without_fields(text, fields.text().size());
  } else {
    line.text = shortened(std::string(text));
    line.fields = fields.text();
  }
  const std::lock_guard telling(telling_);
  giver_.log(line);
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
std::optional<std::int64_t> Context::deferred_by() const {
  return job_.run().deferred_by;
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
void Context::will_finish() {
  job_.will_finish();
}
std::optional<AbortReason> Context::abort_reason() const {
  return job_.abort_signs().told_reason();
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
  throw detail::possible({wait, std::move(reason), std::move(changes)});
}
void Context::retry_at(std::chrono::system_clock::time_point when, std::string reason, RetryChanges changes) {
  retry_in(when - job_.system_now(), std::move(reason), std::move(changes));
}
void Context::defer(std::string_view task, const Args& args, const DeferOptions& options) {
  job_.defer(task, args, options);
}
void Context::defer(const NewJob& job) {
  job_.defer(job.task(), job.args(), detail::options_of(job));
}

}  // namespace libtask

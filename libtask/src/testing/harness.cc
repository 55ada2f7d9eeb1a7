// The jobs of a test. What sql/functions/ decides of jobs that wait stands here once more, for one worker and in
// memory: tests/integration/harness_test.cc compares both.
#include <algorithm>
#include <map>
#include <stdexcept>

#include "outcome.h"

namespace libtask::testing {
namespace {

constexpr std::size_t kLastNamed = 5;

// Of the jobs that can run, the one with the highest priority runs first, then the oldest.
bool comes_before(const Job& one, const Job& other) {
  return one.priority != other.priority ? one.priority > other.priority : one.id < other.id;
}

}  // namespace

struct Harness::Impl {
  explicit Impl(const App& app, TimePoint start, int most)
      : registry(libtask::detail::AppAccess::registry(app)), clock(start), most_runs(most) {}

  const Job* waiting_under(const std::optional<std::string>& queueing_lock) const;
  JobId create(const detail::wire::DeferredJob& job);
  // Of a lock only the first that waits can run, whatever its schedule, and only while none runs.
  bool can_run(const Job& job) const;
  Job* next();
  std::optional<TimePoint> next_due() const;
  void run(Job& job);
  void settle(Job& job, Outcome outcome);
  void send_back(Job& job, Outcome& outcome) const;
  void refuse_endless() const;
  int work();

  const detail::Registry& registry;
  Clock clock;
  const int most_runs;
  std::deque<Job> jobs;
  std::vector<JobId> runs;
  std::optional<detail::SetUp> set_up{};  // before the first run, as in a task process
};

const Job* Harness::Impl::waiting_under(const std::optional<std::string>& queueing_lock) const {
  if (!queueing_lock) return nullptr;
  const auto found = std::find_if(jobs.begin(), jobs.end(), [&](const Job& job) {
    return job.status == Status::todo && job.queueing_lock == queueing_lock;
  });
  return found == jobs.end() ? nullptr : &*found;
}

JobId Harness::Impl::create(const detail::wire::DeferredJob& job) {
  jobs.push_back({.id = static_cast<JobId>(jobs.size()) + 1,
                  .task = job.task,
                  .args = job.args,
                  .meta = job.meta.empty() ? "{}" : job.meta,
                  .queue = job.queue,
                  .priority = job.priority,
                  .lock = job.lock,
                  .queueing_lock = job.queueing_lock});
  if (job.delay_us > 0) jobs.back().scheduled_at = clock.now() + std::chrono::microseconds(job.delay_us);
  return jobs.back().id;
}

bool Harness::Impl::can_run(const Job& job) const {
  if (job.status != Status::todo || job.scheduled_at.value_or(clock.now()) > clock.now()) return false;
  return !job.lock || std::none_of(jobs.begin(), jobs.end(), [&](const Job& other) {
    return other.lock == job.lock &&
           (other.status == Status::doing || (other.status == Status::todo && comes_before(other, job)));
  });
}

Job* Harness::Impl::next() {
  Job* first = nullptr;
  for (Job& job : jobs) {
    if (can_run(job) && (first == nullptr || comes_before(job, *first))) first = &job;
  }
  return first;
}

std::optional<TimePoint> Harness::Impl::next_due() const {
  std::optional<TimePoint> due;
  for (const Job& job : jobs) {
    if (job.status != Status::todo || job.scheduled_at.value_or(clock.now()) <= clock.now()) continue;
    due = std::min(due.value_or(*job.scheduled_at), *job.scheduled_at);
  }
  return due;
}

void Harness::Impl::run(Job& job) {
  Options options;
  options.clock = &clock;
  options.uncounted = job.uncounted;
  const detail::wire::Run run{
      .job_id = job.id,
      .attempt = job.attempts + 1,
      .task = job.task,
      .queue = job.queue,
      .priority = job.priority,
      .lock = job.lock.value_or(""),
      .args = job.args,
      .time_limit_ms = detail::run_of(registry, Call(job.task), options).time_limit_ms,
      .scheduled_at_us = job.scheduled_at
                             ? std::optional<std::int64_t>(job.scheduled_at->time_since_epoch().count())
                             : std::nullopt,
      .meta = job.meta,
      .deferred_by = job.deferred_by};
  runs.push_back(job.id);
  job.status = Status::doing;
  settle(job, detail::run_here(run, registry, options));
}

void Harness::Impl::settle(Job& job, Outcome outcome) {
  ++job.attempts;
  if (outcome.status == Status::todo) send_back(job, outcome);
  job.status = outcome.status;
  const std::vector<Deferred> defers = outcome.defers;
  const std::string meta = job.meta;
  const JobId id = job.id;
  job.outcomes.push_back(std::move(outcome));
  for (const Deferred& deferred : defers) {
    // The job that waits stands for this one.
    if (waiting_under(deferred.queueing_lock) != nullptr) continue;
    const JobId follower = create({.task = deferred.task,
                                   .args = deferred.args,
                                   .queue = deferred.queue,
                                   .priority = deferred.priority,
                                   .lock = deferred.lock,
                                   .queueing_lock = deferred.queueing_lock,
                                   .delay_us = deferred.delay.count(),
                                   .meta = deferred.meta.value_or(meta)});
    jobs[static_cast<std::size_t>(follower - 1)].deferred_by = id;
  }
}

void Harness::Impl::send_back(Job& job, Outcome& outcome) const {
  if (const Job* waiting = waiting_under(job.queueing_lock)) {
    outcome.status = Status::failed;
    outcome.cause = Cause::superseded;
    outcome.message += (outcome.message.empty() ? "" : "; ") + std::string("superseded by job ") +
                       std::to_string(waiting->id) + ", which waits under the same queueing lock";
    outcome.retry.reset();
    return;
  }
  job.scheduled_at = outcome.retry->at;
  if (!outcome.retry->counts) ++job.uncounted;
  job.priority = outcome.retry->priority.value_or(job.priority);
  job.queue = outcome.retry->queue.value_or(job.queue);
  if (outcome.retry->lock) job.lock = outcome.retry->lock;
}

void Harness::Impl::refuse_endless() const {
  std::string last;
  for (std::size_t i = runs.size() - std::min(runs.size(), kLastNamed); i < runs.size(); ++i)
    last += (last.empty() ? "" : ", ") + jobs[static_cast<std::size_t>(runs[i] - 1)].task;
  throw std::runtime_error(
      "the harness has run " + std::to_string(runs.size()) +
      " jobs, as many as it may (most_runs), and there are more: does a chain of jobs or "
      "retries never end? The last ones were of " +
      last);
}

int Harness::Impl::work() {
  detail::require_sound(registry);
  if (!set_up) set_up.emplace(registry);
  const std::size_t before = runs.size();
  while (Job* job = next()) {
    if (runs.size() >= static_cast<std::size_t>(std::max(most_runs, 0))) refuse_endless();
    run(*job);
  }
  return static_cast<int>(runs.size() - before);
}

Harness::Harness(const App& app, TimePoint start, int most_runs)
    : impl_(std::make_unique<Impl>(app, start, most_runs)) {}
Harness::~Harness() = default;

JobId Harness::defer(const Call& call, const DeferOptions& options) {
  const auto job = libtask::detail::deferred_job(impl_->registry, call.task, call.args, options);
  if (const Job* waiting = impl_->waiting_under(job.queueing_lock)) {
    throw AlreadyEnqueued("job " + std::to_string(waiting->id) + " with queueing lock \"" +
                          *job.queueing_lock + "\" waits already");
  }
  return impl_->create(job);
}

JobId Harness::defer(const NewJob& job) {
  const JobOptions& options = job.options();
  if (options.on_conflict == OnConflict::replace)
    throw std::invalid_argument(
        "the harness replaces no job that waits; it knows OnConflict::refuse and keep");
  std::chrono::microseconds delay = options.schedule_in.value_or(std::chrono::microseconds(0));
  if (options.schedule_at) {
    const auto due = std::chrono::ceil<std::chrono::microseconds>(*options.schedule_at);
    delay = std::max(std::chrono::microseconds(0), due - impl_->clock.now());
  }
  const DeferOptions as_deferred{.queue = options.queue,
                                 .priority = options.priority,
                                 .lock = options.lock,
                                 .queueing_lock = options.queueing_lock,
                                 .delay = delay,
                                 .meta = options.meta};
  if (options.on_conflict == OnConflict::keep && !options.queueing_lock.empty()) {
    if (const Job* waiting = impl_->waiting_under(options.queueing_lock)) return waiting->id;
  }
  return defer(Call(job), as_deferred);
}

int Harness::work() {
  return impl_->work();
}

int Harness::advance(std::chrono::microseconds time) {
  const TimePoint end = impl_->clock.now() + time;
  int runs = impl_->work();
  for (auto due = impl_->next_due(); due && *due <= end; due = impl_->next_due()) {
    impl_->clock.advance(*due - impl_->clock.now());
    runs += impl_->work();
  }
  // A handler may have advanced it beyond.
  if (impl_->clock.now() < end) impl_->clock.advance(end - impl_->clock.now());
  return runs;
}

int Harness::work_off() {
  int runs = impl_->work();
  while (const auto due = impl_->next_due()) {
    impl_->clock.advance(*due - impl_->clock.now());
    runs += impl_->work();
  }
  return runs;
}

Clock& Harness::clock() {
  return impl_->clock;
}

const Job& Harness::job(JobId id) const {
  if (id < 1 || static_cast<std::size_t>(id) > impl_->jobs.size())
    throw std::out_of_range("the harness has no job " + std::to_string(id));
  return impl_->jobs[static_cast<std::size_t>(id - 1)];
}

const std::deque<Job>& Harness::jobs() const {
  return impl_->jobs;
}

const std::vector<JobId>& Harness::runs() const {
  return impl_->runs;
}

std::vector<JobId> Harness::with(Status status) const {
  std::vector<JobId> ids;
  for (const Job& job : impl_->jobs) {
    if (job.status == status) ids.push_back(job.id);
  }
  return ids;
}

}  // namespace libtask::testing

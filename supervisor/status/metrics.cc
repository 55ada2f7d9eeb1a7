#include "supervisor/status/metrics.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "sys/utf8.h"

namespace postpone::supervisor::status {
namespace {

// What waits is asked for every few seconds, at worst every 200 (subworker/housekeeper/reporter.cc). An old
// figure is no figure: a flat line would look like a queue that rests.
constexpr std::int64_t kFreshWaiting = 300'000'000'000;

// A label's value within quotes. Names come from the database, so anything may stand in them; what is no
// UTF-8 would cost the whole page.
std::string escaped(std::string_view value) {
  std::string text;
  for (std::size_t at = 0; at < value.size();) {
    const std::size_t length = sys::utf8_character_at(value, at);
    if (length == 0)
      text += sys::kReplacement;
    else if (value[at] == '\n')
      text += "\\n";
    else if (value[at] == '\\' || value[at] == '"')
      text.append(1, '\\').append(1, value[at]);
    else
      text.append(value.substr(at, length));
    at += std::max<std::size_t>(length, 1);
  }
  return text;
}

std::string label(std::string_view name, std::string_view value) {
  return fmt::format("{}=\"{}\"", name, escaped(value));
}

// Writes one metric after the other, each with its help and type before its samples.
class MetricsPage {
 public:
  void metric(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename Value>
  void sample(Value value, std::string_view labels = "", std::string_view suffix = "") {
    if (labels.empty())
      fmt::format_to(std::back_inserter(text_), "{}{} {}\n", name_, suffix, value);
    else
      fmt::format_to(std::back_inserter(text_), "{}{}{{{}}} {}\n", name_, suffix, labels, value);
  }
  template <typename Value>
  void single(std::string_view name, std::string_view type, std::string_view help, Value value) {
    metric(name, type, help);
    sample(value);
  }
  void histogram(const board::HistogramSum& sum, const std::array<double, board::kBounds>& bounds,
                 const std::string& labels) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      below += sum.counts.at(i);
      sample(below, fmt::format("{},le=\"{}\"", labels, bounds.at(i)), "_bucket");
    }
    below += sum.counts.back();
    sample(below, labels + ",le=\"+Inf\"", "_bucket");
    sample(seconds(sum.sum_ns), labels, "_sum");
    sample(below, labels, "_count");
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

double unix_time(const Snapshot& s, std::int64_t at_ns) {
  return seconds(s.now_unix_ns - (s.now_ns - at_ns));
}

void add_supervisor(MetricsPage& page, const Snapshot& s, const Judgement& judgement) {
  page.metric("postpone_build_info", "gauge", "Always 1; the label is the version of the supervisor.");
  page.sample(1, label("version", s.supervisor.version));
  page.metric("postpone_state", "gauge", "1 for the state that the supervisor is in, 0 for the others.");
  for (std::size_t i = 0; i < kStateNames.size(); ++i)
    page.sample(static_cast<std::size_t>(judgement.state) == i ? 1 : 0, label("state", kStateNames.at(i)));
  page.single("postpone_ready", "gauge", "1 when a job that is deferred now would be run.",
              judgement.not_ready.empty() ? 1 : 0);
  page.single("process_start_time_seconds", "gauge", "When the supervisor started, since the epoch.",
              seconds(s.supervisor.started_unix_ns));
  page.single("process_cpu_seconds_total", "counter", "CPU time of the supervisor itself.",
              s.supervisor.cpu_s);
  page.single("process_resident_memory_bytes", "gauge", "Resident memory of the supervisor itself.",
              s.supervisor.rss_bytes);
  if (!s.supervisor.last_reload) return;
  page.single("postpone_config_last_reload_successful", "gauge", "Whether the last reload was taken over.",
              s.supervisor.last_reload->ok ? 1 : 0);
}

void add_database(MetricsPage& page, const Snapshot& s) {
  const Database& d = s.database;
  if (d.state != DatabaseState::unknown)
    page.single("postpone_database_up", "gauge",
                "1 while the housekeeper is connected, 0 while it tries; left out while it is not known.",
                d.state == DatabaseState::up ? 1 : 0);
  page.single("postpone_database_connects_total", "counter", "Connections that the housekeeper has made.",
              d.connections);
  if (d.heartbeat_ns != 0)
    page.single("postpone_last_heartbeat_timestamp_seconds", "gauge",
                "When heartbeats last reached the database, since the epoch.", unix_time(s, d.heartbeat_ns));
  page.single("postpone_fence_after_seconds", "gauge",
              "How old heartbeats may grow before tasks are stopped ([supervisor] fence_after).",
              seconds(s.fence_after_ns));
  page.single("postpone_listening", "gauge", "1 while new jobs are heard of by LISTEN.",
              s.listen.state == ListenState::listening ? 1 : 0);
  page.single("postpone_listen_reconnects_total", "counter", "How often LISTEN was begun anew.",
              s.listen.reconnects);
  page.single("postpone_notifications_total", "counter", "Notifications that came in.",
              s.listen.notifications);
  page.single("postpone_pool_size", "gauge", "Pooled connections that may be held.", s.pool.size);
  page.single("postpone_pool_held", "gauge", "Pooled connections that are held.", s.pool.held);
  page.single("postpone_pool_waiting", "gauge", "Sub-workers that wait for a pooled connection.",
              s.pool.waiting);
  page.single("postpone_rescued_jobs_total", "counter",
              "Jobs of dead or silent workers that were decided here.", s.housekeeper.rescued);
  page.single("postpone_housekeeper_crashes_total", "counter", "Ends of the housekeeper that were not well.",
              s.housekeeper.member.crashes);
}

// Sums over the sub-workers that a group has at the moment.
struct GroupSum {
  std::map<Activity, int> activities;
  std::int64_t task_rss_bytes = 0;
};

std::vector<GroupSum> sum_up(const Snapshot& s) {
  std::vector<GroupSum> sums(s.groups.size());
  for (const SubWorker& worker : s.sub_workers) {
    GroupSum& sum = sums.at(worker.group);
    ++sum.activities[worker.activity];
    if (worker.task) sum.task_rss_bytes += worker.task->rss_bytes;
  }
  return sums;
}

void add_groups(MetricsPage& page, const Snapshot& s) {
  const auto sums = sum_up(s);
  const auto each = [&](auto write) {
    for (std::size_t i = 0; i < sums.size(); ++i)
      write(label("group", s.groups[i].name), sums[i], s.groups[i].counts);
  };
  page.metric("postpone_subworkers", "gauge", "Sub-workers by what they are doing.");
  each([&](const std::string& group, const GroupSum& sum, const Counts&) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(Activity::unknown); ++i) {
      const auto found = sum.activities.find(static_cast<Activity>(i));
      page.sample(found == sum.activities.end() ? 0 : found->second,
                  group + "," + label("state", kActivityNames.at(i)));
    }
  });
  page.metric("postpone_subworker_starts_total", "counter", "Sub-workers that were started.");
  each([&](const auto& group, const auto&, const auto& of) { page.sample(of.births, group); });
  page.metric("postpone_subworker_crashes_total", "counter", "Ends of sub-workers that were not well.");
  each([&](const auto& group, const auto&, const auto& of) { page.sample(of.crashes, group); });
  page.metric("postpone_jobs_fetched_total", "counter", "Jobs that were fetched.");
  each([&](const auto& group, const auto&, const auto& of) { page.sample(of.fetched, group); });
  page.metric("postpone_jobs_ended_total", "counter",
              "Attempts that ended; retried: and the job waits again.");
  each([&](const auto& group, const auto&, const auto& of) {
    for (std::size_t i = 0; i < board::kEndings; ++i)
      page.sample(of.ended.at(i), group + "," + label("ending", kEndingNames.at(i)));
  });
  page.metric("postpone_task_process_crashes_total", "counter",
              "Task processes that died by a signal or exit.");
  each([&](const auto& group, const auto&, const auto& of) { page.sample(of.task_crashes, group); });
  page.metric("postpone_task_process_resident_memory_bytes", "gauge",
              "Resident memory of the task processes.");
  each([&](const auto& group, const auto& sum, const auto&) { page.sample(sum.task_rss_bytes, group); });
  page.metric("postpone_job_cpu_seconds_total", "counter", "CPU time of jobs that have ended.");
  each([&](const auto& group, const auto&, const auto& of) { page.sample(seconds(of.job_cpu_ns), group); });
  page.metric("postpone_job_run_seconds", "histogram", "How long attempts ran.");
  each([&](const auto& group, const auto&, const auto& of) {
    page.histogram(of.run_time, board::kJobBounds, group);
  });
  page.metric("postpone_queue_wait_seconds", "histogram",
              "For how long jobs could have been run before they were; of short jobs a sample.");
  each([&](const auto& group, const auto&, const auto& of) {
    page.histogram(of.queue_wait, board::kJobBounds, group);
  });
  page.metric("postpone_wakeup_seconds", "histogram", "From the ring at an idle sub-worker to its answer.");
  each([&](const auto& group, const auto&, const auto& of) {
    page.histogram(of.wake_up, board::kWakeUpBounds, group);
  });
}

void add_totals(MetricsPage& page, const char* what, const Totals& totals) {
  page.metric(fmt::format("postpone_{}_jobs_ended_total", what), "counter",
              fmt::format("Attempts that ended, by {}.", what));
  for (const auto& [name, total] : totals)
    for (std::size_t i = 0; i < board::kEndings; ++i)
      page.sample(total.ended.at(i), label(what, name) + "," + label("ending", kEndingNames.at(i)));
  page.metric(fmt::format("postpone_{}_run_seconds_total", what), "counter",
              fmt::format("How long attempts ran, by {}.", what));
  for (const auto& [name, total] : totals) page.sample(seconds(total.run_ns), label(what, name));
}

void add_limits(MetricsPage& page, const Totals& tasks) {
  if (std::ranges::none_of(tasks, [](const auto& task) { return task.second.concurrency_limit > 0; })) return;
  page.metric("postpone_task_concurrency_limit", "gauge", "How many jobs of a task may run at a time.");
  for (const auto& [name, total] : tasks)
    if (total.concurrency_limit > 0) page.sample(total.concurrency_limit, label("task", name));
  page.metric("postpone_task_concurrency", "gauge", "How many do, of the tasks with such a limit.");
  for (const auto& [name, total] : tasks)
    if (total.concurrency_limit > 0) page.sample(total.concurrency, label("task", name));
}

void add_waiting(MetricsPage& page, const Snapshot& s) {
  if (!s.waiting || s.now_ns - s.waiting->measured_ns > kFreshWaiting) return;
  const board::QueueFacts& facts = *s.waiting;
  // Names that were cut may be the same, and one may be called as the rest is: each label set stands once.
  std::map<std::string_view, board::QueueFact> queues;
  const auto add = [&queues](std::string_view name, const board::QueueFact& fact) {
    board::QueueFact& sum = queues[name];
    sum.ready += fact.ready;
    sum.scheduled += fact.scheduled;
    sum.oldest_ns = std::max(sum.oldest_ns, fact.oldest_ns);
  };
  for (std::int64_t i = 0; i < facts.count; ++i) add(facts.queues[i].name.view(), facts.queues[i]);
  board::QueueFact others;
  others.ready = facts.other_ready;
  others.scheduled = facts.other_scheduled;
  if (facts.other_queues > 0) add(board::kOthers, others);
  page.metric("postpone_queue_ready_jobs", "gauge", "Jobs that wait and could be run, by queue.");
  for (const auto& [name, fact] : queues) page.sample(fact.ready, label("queue", name));
  page.metric("postpone_queue_scheduled_jobs", "gauge", "Jobs that wait for their time, by queue.");
  for (const auto& [name, fact] : queues) page.sample(fact.scheduled, label("queue", name));
  page.metric("postpone_queue_oldest_job_seconds", "gauge",
              "For how long a job of the queue could have been run and was not; 0 when none is ready.");
  for (const auto& [name, fact] : queues) page.sample(seconds(fact.oldest_ns), label("queue", name));
  page.single("postpone_queues_measured_timestamp_seconds", "gauge", "When the queues were last asked for.",
              unix_time(s, facts.measured_ns));
  page.single("postpone_queues_query_seconds", "gauge", "How long that took.", seconds(facts.took_ns));
}

}  // namespace

std::string to_metrics(const Snapshot& s, const Judgement& judgement) {
  MetricsPage page;
  add_supervisor(page, s, judgement);
  add_database(page, s);
  add_groups(page, s);
  add_totals(page, "task", s.tasks);
  add_limits(page, s.tasks);
  add_totals(page, "queue", s.queues);
  add_waiting(page, s);
  return page.take();
}

}  // namespace postpone::supervisor::status

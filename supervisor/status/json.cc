#include "supervisor/status/json.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ctime>

#include "supervisor/status/json_writer.h"

namespace postpone::supervisor::status {
namespace {

const char* state_name(const Judgement& judgement) {
  return kStateNames.at(static_cast<std::size_t>(judgement.state));
}

const char* ending_name(std::int64_t ending) {
  const bool known = ending >= 0 && ending < static_cast<std::int64_t>(board::kEndings);
  return known ? kEndingNames.at(static_cast<std::size_t>(ending)) : "unknown";
}

// A writer that knows the moment of the snapshot, to which all its times are related. 0 is no time.
class Page : public JsonWriter {
 public:
  Page(std::int64_t now_ns, std::int64_t now_unix_ns) : now_ns_(now_ns), now_unix_ns_(now_unix_ns) {}

  void at(const char* name, std::int64_t ns) {
    if (ns == 0) return field_null(name);
    field(name, iso_time(now_unix_ns_ - (now_ns_ - ns)));
  }
  void ago(const char* name, std::int64_t ns) { span(name, ns, now_ns_ - ns); }
  void ahead(const char* name, std::int64_t ns) { span(name, ns, ns - now_ns_); }
  void text_or_null(const char* name, std::string_view text) {
    if (text.empty()) return field_null(name);
    field(name, text);
  }
  template <class Number>
  void number_or_null(const char* name, Number number) {
    if (number == Number()) return field_null(name);
    field(name, number);
  }
  void field_null(const char* name) {
    key(name);
    null();
  }
  // An object of the content, or null.
  template <class T, class Content>
  void optional_object(const char* name, const std::optional<T>& value, Content content) {
    key(name);
    if (!value) return null();
    object([&] { content(*value); });
  }
  void trouble(const char* name, const std::optional<Trouble>& trouble) {
    optional_object(name, trouble, [&](const Trouble& what) {
      at("at", what.at_ns);
      ago("age_s", what.at_ns);
      field("message", what.text);
    });
  }
  void texts(const char* name, const std::vector<std::string>& texts) {
    key(name);
    array([&] {
      for (const std::string& text : texts) value(std::string_view(text));
    });
  }

 private:
  void span(const char* name, std::int64_t ns, std::int64_t length_ns) {
    if (ns == 0) return field_null(name);
    field(name, seconds(std::max<std::int64_t>(0, length_ns)));
  }

  const std::int64_t now_ns_;
  const std::int64_t now_unix_ns_;
};

std::string version_text(int number) {
  return number == 0 ? "" : fmt::format("{}.{}", number / 10'000, number % 10'000);
}

void write_supervisor(Page& page, const Snapshot& s, const Judgement& judgement) {
  const Process& process = s.supervisor;
  page.field("version", process.version);
  page.field("name", process.name);
  page.field("pid", process.pid);
  page.field("started_at", iso_time(process.started_unix_ns));
  page.ago("uptime_s", process.started_ns);
  page.field("state", state_name(judgement));
  page.texts("reasons", judgement.reasons);
  page.field("ready", judgement.not_ready.empty());
  page.field("config_file", process.config_file);
  page.optional_object("last_reload", process.last_reload, [&](const Reload& reload) {
    page.at("at", reload.at_ns);
    page.field("ok", reload.ok);
    page.field("message", reload.message);
  });
  page.field("cpu_s", process.cpu_s);
  page.field("rss_bytes", process.rss_bytes);
}

void write_listen(Page& page, const Listen& listen) {
  page.field("state", listen.wanted ? kListenStateNames.at(static_cast<std::size_t>(listen.state)) : "off");
  page.at("since", listen.since_ns);
  page.field("reconnects", listen.reconnects);
  page.field("notifications", listen.notifications);
  page.at("last_notification_at", listen.last_notification_ns);
  page.at("last_probe_at", listen.last_probe_ns);
  page.trouble("last_error", listen.last_error);
}

void write_database(Page& page, const Snapshot& s) {
  const Database& database = s.database;
  page.field("state", kDatabaseStateNames.at(static_cast<std::size_t>(database.state)));
  page.at("since", database.since_ns);
  page.text_or_null("server_version", version_text(database.server_version));
  page.field("reconnects", database.reconnects);
  page.trouble("last_error", database.last_error);
  page.key("listen");
  page.object([&] { write_listen(page, s.listen); });
  page.key("pool");
  page.object([&] {
    page.field("size", s.pool.size);
    page.field("held", s.pool.held);
    page.field("waiting", s.pool.waiting);
    page.field("longest_wait_s", seconds(s.pool.longest_wait_ns));
  });
}

// What every process of the family has.
void write_member(Page& page, const Member& member) {
  page.number_or_null("pid", member.pid);
  page.field("ready", member.ready);
  page.ago("heartbeat_age_s", member.heartbeat_ns);
  page.field("restarts", member.births > 0 ? member.births - 1 : 0);
  page.field("crashes", member.crashes);
  page.field("failed_starts", member.failures);
  page.ahead("next_start_s", member.next_start_ns);
  page.optional_object("last_end", member.last_end, [&](const End& end) {
    page.at("at", end.at_ns);
    page.field("well", end.well);
    page.field("cause", end.how);
  });
}

void write_housekeeper(Page& page, const Snapshot& s) {
  write_member(page, s.housekeeper.member);
  page.at("last_database_heartbeat_at", s.database.heartbeat_ns);
  page.ago("last_database_heartbeat_age_s", s.database.heartbeat_ns);
  page.field("rescued_jobs", s.housekeeper.rescued);
  page.trouble("last_error", s.database.last_error);
}

void write_job(Page& page, const SubWorker& worker) {
  if (!worker.job_known) return page.field("job", "unknown");
  page.optional_object("job", worker.job, [&](const Job& job) {
    const board::RunningJob& facts = job.facts;
    page.field("id", facts.job_id);
    page.field("task", facts.task.view());
    page.field("queue", facts.queue.view());
    page.text_or_null("lock", facts.lock.view());
    page.field("attempt", facts.attempt);
    page.at("started_at", facts.started_ns);
    page.ago("elapsed_s", facts.started_ns);
    page.number_or_null("time_limit_s", seconds(facts.time_limit_ns));
    page.optional_object("progress", job.progress, [&](const board::Progress& progress) {
      page.field("done", progress.done);
      page.field("total", progress.total);
      page.text_or_null("note", progress.note.view());
      page.at("at", progress.at_ns);
      page.ago("age_s", progress.at_ns);
    });
  });
}

void write_task_process(Page& page, const SubWorker& worker) {
  if (!worker.task_known) return page.field("task_process", "unknown");
  page.optional_object("task_process", worker.task, [&](const board::TaskFacts& facts) {
    const bool weighed = facts.weighed_ns != 0;
    page.field("pid", facts.pid);
    page.at("started_at", facts.started_ns);
    page.ago("age_s", facts.started_ns);
    page.field("jobs_served", facts.jobs_served);
    page.field("rss_bytes", weighed ? std::optional(facts.rss_bytes) : std::nullopt);
    page.field("cpu_s", weighed ? std::optional(seconds(facts.cpu_ns)) : std::nullopt);
  });
}

void write_endings(Page& page, const std::array<std::uint64_t, board::kEndings>& ended) {
  for (std::size_t i = 0; i < ended.size(); ++i) page.field(kEndingNames.at(i), ended.at(i));
}

void write_sub_worker(Page& page, const Snapshot& s, const SubWorker& worker) {
  page.field("slot", worker.slot);
  page.field("group", s.groups.at(worker.group).name);
  page.field("generation", worker.generation);
  page.field("state", kActivityNames.at(static_cast<std::size_t>(worker.activity)));
  page.at("since", worker.since_ns);
  page.ago("in_state_s", worker.since_ns);
  write_member(page, worker.member);
  page.number_or_null("worker_id", worker.lease);
  page.field("connected", worker.holds_connection);
  write_job(page, worker);
  page.key("jobs");
  page.object([&] {
    page.field("fetched", worker.fetched);
    write_endings(page, worker.ended);
    page.field("crashed", worker.crashed);
  });
  write_task_process(page, worker);
}

void write_totals(Page& page, const Totals& totals, bool are_tasks) {
  for (const auto& [name, total] : totals)
    page.object([&, &name = name, &total = total] {
      page.field("name", name);
      if (are_tasks) page.field("registered", total.registered);
      if (are_tasks) page.number_or_null("concurrency_limit", total.concurrency_limit);
      if (total.concurrency_limit > 0) page.field("concurrency", total.concurrency);
      write_endings(page, total.ended);
      page.field("run_time_s", seconds(total.run_ns));
    });
}

void write_waiting(Page& page, const board::QueueFacts& facts) {
  page.at("measured_at", facts.measured_ns);
  page.ago("age_s", facts.measured_ns);
  page.field("query_s", seconds(facts.took_ns));
  page.key("queues");
  page.array([&] {
    for (std::int64_t i = 0; i < facts.count; ++i)
      page.object([&, &fact = facts.queues[i]] {
        page.field("name", fact.name.view());
        page.field("ready", fact.ready);
        page.field("scheduled", fact.scheduled);
        page.field("oldest_s", fact.ready > 0 ? std::optional(seconds(fact.oldest_ns)) : std::nullopt);
      });
  });
  page.key("others");
  page.object([&] {
    page.field("queues", facts.other_queues);
    page.field("ready", facts.other_ready);
    page.field("scheduled", facts.other_scheduled);
  });
}

void write_failure(Page& page, const Failure& failure) {
  const board::FailedJob& facts = failure.facts;
  page.at("at", facts.at_ns);
  page.ago("age_s", facts.at_ns);
  page.field("job_id", facts.job_id);
  page.field("task", facts.task.view());
  page.field("queue", facts.queue.view());
  page.field("attempt", facts.attempt);
  page.field("ending", ending_name(facts.ending));
  page.field("cause", facts.cause.view());
  page.text_or_null("message", facts.message.view());
  page.field("slot", failure.slot);
}

void write_lists(Page& page, const Snapshot& s) {
  const auto list = [&page](const char* name, const auto& elements, auto write) {
    page.key(name);
    page.array([&] {
      for (const auto& element : elements) page.object([&] { write(element); });
    });
  };
  list("groups", s.groups, [&](const Group& group) {
    page.field("name", group.name);
    page.texts("queues", group.queues);
  });
  list("sub_workers", s.sub_workers, [&](const SubWorker& worker) { write_sub_worker(page, s, worker); });
  page.key("tasks");
  page.array([&] { write_totals(page, s.tasks, true); });
  page.key("queues");
  page.array([&] { write_totals(page, s.queues, false); });
  page.optional_object("waiting", s.waiting,
                       [&](const board::QueueFacts& facts) { write_waiting(page, facts); });
  list("recent_failures", s.failures, [&](const Failure& failure) { write_failure(page, failure); });
}

// An event whose data `content` writes.
template <class Content>
std::string event(const char* name, Page& page, Content content) {
  page.object(content);
  return fmt::format("event: {}\ndata: {}\n\n", name, page.take());
}

}  // namespace

std::string iso_time(std::int64_t unix_ns) {
  const std::time_t whole = unix_ns / 1'000'000'000;
  std::tm utc{};
  ::gmtime_r(&whole, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, unix_ns % 1'000'000'000 / 1000);
}

std::string to_json(const Snapshot& s, const Judgement& judgement) {
  Page page(s.now_ns, s.now_unix_ns);
  page.object([&] {
    page.field("schema_version", kSchemaVersion);
    page.at("at", s.now_ns);
    page.key("supervisor");
    page.object([&] { write_supervisor(page, s, judgement); });
    page.key("database");
    page.object([&] { write_database(page, s); });
    page.key("housekeeper");
    page.object([&] { write_housekeeper(page, s); });
    write_lists(page, s);
  });
  return page.take() + "\n";
}

std::string job_event(const board::News& news, std::uint32_t slot, const std::string& group,
                      std::int64_t now_ns, std::int64_t now_unix_ns) {
  Page page(now_ns, now_unix_ns);
  return event(news.ended == 0 ? "job_started" : "job_finished", page, [&] {
    page.at("at", news.at_ns);
    page.field("job_id", news.job_id);
    page.field("task", news.task.view());
    page.field("queue", news.queue.view());
    page.field("attempt", news.attempt);
    page.field("group", group);
    page.field("slot", slot);
    if (news.ended == 0) return;
    page.field("ending", ending_name(news.ending));
    page.field("cause", news.cause.view());
    page.field("run_time_s", seconds(news.run_ns));
  });
}

std::string member_event(const std::string& name, std::int64_t pid, const std::string& how,
                         std::int64_t now_unix_ns) {
  Page page(0, now_unix_ns);
  return event(how.empty() ? "process_born" : "process_died", page, [&] {
    page.field("at", iso_time(now_unix_ns));
    page.field("name", name);
    page.field("pid", pid);
    if (!how.empty()) page.field("cause", how);
  });
}

std::string state_event(const Judgement& judgement, std::int64_t now_unix_ns) {
  Page page(0, now_unix_ns);
  return event("state_changed", page, [&] {
    page.field("at", iso_time(now_unix_ns));
    page.field("state", state_name(judgement));
    page.texts("reasons", judgement.reasons);
    page.field("ready", judgement.not_ready.empty());
  });
}

}  // namespace postpone::supervisor::status

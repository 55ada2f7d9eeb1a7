#include "tests/support/hostile_rows.h"

namespace postpone::tests {
namespace {

using Values = std::vector<std::string>;

// As SQL, each of 128 characters at most.
const Values& names() {
  static const Values all = {"''",
                             "' '",
                             "E'\\t'",
                             "repeat('x', 128)",
                             "repeat(U&'\\00E9', 128)",
                             "repeat(U&'\\+01F600', 128)",
                             "U&'\\202Egro.live\\202C'",      // right to left
                             "U&'a\\2066b\\2069c\\200F'",     // isolates and marks
                             "U&'\\FEFF\\FFFF\\FFFE\\FFFD'",  // what is no character
                             "U&'\\+10FFFF\\+0E0001'",
                             "'e' || repeat(U&'\\0301', 127)",  // combining
                             "U&'\\2028\\2029\\0085\\00A0\\00AD\\200B'",
                             "E'two\\nlines\\r\\n'",
                             "E'\\x1b[31mred\\x1b[0m\\x07\\x7f\\x08'",
                             "E'\\x01\\x02\\x1f'",
                             "'NULL'",
                             "'null'",
                             "'{}'",
                             "'{\"a\": 1}'",
                             "'a,b'",
                             "E'\\\\'",
                             "E'\\'; DROP TABLE procrastinate_jobs; --'",
                             "'\"'",
                             "'%s%n%d{}{:d}'",
                             "'<script>alert(1)</script>'",
                             "'-'",
                             "'--help'",
                             "'*'",
                             "'0'",
                             "'9223372036854775808'",
                             "'infinity'"};
  return all;
}

// What is longer than a name.
const Values& long_texts() {
  static const Values all = {"(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 62) AS i)",
                             "repeat(U&'\\20AC', 600)", "repeat(E'\\n', 500)", "repeat('\"', 700)"};
  return all;
}

const Values& integers() {
  static const Values all = {"0", "1", "-1", "2147483647", "2147483646", "(-2147483648)", "7", "(-32769)"};
  return all;
}

const Values& bigints() {
  static const Values all = {"0",
                             "1",
                             "-1",
                             "9223372036854775807",
                             "9223372036854775806",
                             "'-9223372036854775808'::bigint",
                             "'-9223372036854775807'::bigint",
                             "2147483648",
                             "9007199254740993",
                             "1764338400"};
  return all;
}

const Values& timestamps() {
  static const Values all = {"'infinity'",
                             "'-infinity'",
                             "'294276-12-31 23:59:59.999999+00'",
                             "'294275-06-01 00:00:00+00'",
                             "'4714-11-24 00:00:00+00 BC'",
                             "'0001-12-31 23:59:59+00 BC'",
                             "'1677-09-21 00:12:43+00'",
                             "'2262-04-11 23:47:16.854776+00'",
                             "'2262-04-11 23:47:16.854775+00'",
                             "'1969-12-31 23:59:59.999999+00'",
                             "'1970-01-01 00:00:00+00'",
                             "'9999-12-31 23:59:60+00'",
                             "'3000-01-01'",
                             "now()",
                             "(now() - interval '1 hour')",
                             "(now() + interval '1 hour')"};
  return all;
}

const Values& doubles() {
  static const Values all = {"'NaN'",  "'Infinity'", "'-Infinity'", "1.7976931348623157e308",
                             "-1e308", "4.9e-324",   "0",           "'-0'",
                             "-1",     "1e18",       "0.5"};
  return all;
}

const Values& json_values() {
  static const Values all = {
      "'{}'",
      "'[]'",
      "'null'",
      "'true'",
      "'0'",
      "'\"text\"'",
      "'[{}, null]'",
      "'1e1000'",
      "'{\"x\": 1e400, \"y\": -1e-400, \"z\": 123456789012345678901234567890}'",
      "'{\"\": {\"\": [[], {}]}}'",
      R"('{"\u202e": "\uffff", "\ud83d\ude00": "\u0001\u001b[31m\u007f", "a\nb": "\\ud800"}')",
      "jsonb_build_object('x', repeat('y', 1000000))",
      "(repeat('[', 2000) || repeat(']', 2000))::jsonb",
      "(repeat('{\"a\":', 1500) || '0' || repeat('}', 1500))::jsonb",
      "(SELECT jsonb_object_agg('key ' || i, i) FROM generate_series(1, 2000) AS i)",
      "'{\"file\": 1, \"ms\": \"x\"}'"};
  return all;
}

const Values& statuses() {
  static const Values all = {"todo",   "todo",      "doing",    "doing",  "succeeded",
                             "failed", "cancelled", "aborting", "aborted"};
  return all;
}

const Values& events() {
  static const Values all = {"NULL",      "'deferred'",  "'started'",   "'deferred_for_retry'",
                             "'failed'",  "'succeeded'", "'cancelled'", "'abort_requested'",
                             "'aborted'", "'scheduled'", "'retried'"};
  return all;
}

const Values& causes() {
  static const Values all = {"succeeded", "exception",      "bad_arguments",   "unknown_task",
                             "exited",    "signalled",      "memory_limit",    "timed_out",
                             "aborted",   "protocol_error", "output_flood",    "worker_lost",
                             "poison",    "superseded",     "finished_by_hand"};
  return all;
}

}  // namespace

const std::string& HostileRows::any_of(const Values& values) {
  return values[random_() % values.size()];
}

std::string HostileRows::name(const Values& ordinary) {
  return toss() ? any_of(names()) : "'" + any_of(ordinary) + "'";
}
std::string HostileRows::text() {
  return random_() % 4 == 0 ? any_of(long_texts()) : any_of(names());
}
std::string HostileRows::text_or_null() {
  return toss() ? "NULL" : text();
}
std::string HostileRows::integer() {
  return any_of(integers());
}
std::string HostileRows::integer_or_null() {
  return toss() ? "NULL" : integer();
}
std::string HostileRows::bigint() {
  return any_of(bigints());
}
std::string HostileRows::timestamp() {
  return any_of(timestamps()) + "::timestamptz";
}
std::string HostileRows::timestamp_or_null() {
  return random_() % 3 == 0 ? "NULL" : timestamp();
}
std::string HostileRows::seconds_or_null() {
  return random_() % 4 == 0 ? "NULL" : any_of(doubles()) + "::double precision";
}

std::string HostileRows::id_for(std::int64_t& counter) {
  return random_() % 8 == 0 ? bigint() : std::to_string(++counter);
}

std::string HostileRows::one_of(const std::string& table, const std::string& column) {
  return "(SELECT " + column + " FROM " + table + " ORDER BY hashint8(" + column + " # " +
         std::to_string(random_() % 1'000'000) + ") LIMIT 1)";
}

std::string HostileRows::worker() {
  return "INSERT INTO procrastinate_workers (id, last_heartbeat) OVERRIDING SYSTEM VALUE VALUES (" +
         id_for(next_worker_id_) + ", " + timestamp() + ") ON CONFLICT DO NOTHING";
}

std::string HostileRows::leased_worker() {
  return "INSERT INTO postpone_workers (worker_id, supervisor, host, name, pid, registered_at) VALUES (" +
         one_of("procrastinate_workers", "id") + ", " + text() + ", " + text() + ", " + text() + ", " +
         integer() + ", " + timestamp() + ") ON CONFLICT DO NOTHING";
}

std::string HostileRows::job() {
  const std::string& status = any_of(statuses());
  return "INSERT INTO procrastinate_jobs (id, queue_name, task_name, priority, lock, queueing_lock, args, "
         "status, "
         "scheduled_at, attempts, abort_requested, worker_id) VALUES (" +
         id_for(next_job_id_) + ", " + name(queues) + ", " + name(tasks) + ", " + integer() + ", " +
         text_or_null() + ", " + text_or_null() + ", " + any_of(json_values()) + ", '" + status + "', " +
         timestamp_or_null() + ", " + integer() + ", " + (status != "todo" && toss() ? "true" : "false") +
         ", " + (toss() ? "NULL" : one_of("procrastinate_workers", "id")) + ") ON CONFLICT DO NOTHING";
}

std::string HostileRows::event() {
  return "INSERT INTO procrastinate_events (id, job_id, type, at) VALUES (" + id_for(next_event_id_) + ", " +
         one_of("procrastinate_jobs", "id") + ", " + any_of(events()) + ", " + timestamp_or_null() +
         ") ON CONFLICT DO NOTHING";
}

std::string HostileRows::attempt() {
  return "INSERT INTO postpone_attempts (job_id, attempt, cause, exception_type, message, signal, "
         "exit_status, "
         "stderr_tail, run_time, cpu_time, max_rss, worker_id, worker_name, superseded_by, ended_at) VALUES "
         "(" +
         one_of("procrastinate_jobs", "id") + ", " + integer() + ", '" + any_of(causes()) + "', " +
         text_or_null() + ", " + text_or_null() + ", " + integer_or_null() + ", " + integer_or_null() + ", " +
         text_or_null() + ", " + seconds_or_null() + ", " + seconds_or_null() + ", " +
         (toss() ? "NULL" : bigint()) + ", " + (toss() ? "NULL" : bigint()) + ", " + text_or_null() + ", " +
         (toss() ? "NULL" : bigint()) + ", " + timestamp() + ") ON CONFLICT DO NOTHING";
}

std::string HostileRows::periodic_defer() {
  return "INSERT INTO procrastinate_periodic_defers (id, task_name, defer_timestamp, job_id, periodic_id) "
         "VALUES (" +
         id_for(next_defer_id_) + ", " + name(tasks) + ", " + (toss() ? "NULL" : bigint()) + ", " +
         (toss() ? "NULL" : one_of("procrastinate_jobs", "id")) + ", " + any_of(names()) +
         ") ON CONFLICT DO NOTHING";
}

std::vector<std::string> HostileRows::statements(int jobs) {
  std::vector<std::string> all;
  for (int i = 0; i < jobs / 3; ++i) all.push_back(worker());
  for (int i = 0; i < jobs / 3; ++i) all.push_back(leased_worker());
  for (int i = 0; i < jobs; ++i) all.push_back(job());
  for (int i = 0; i < jobs; ++i) {
    all.push_back(event());
    all.push_back(attempt());
    if (i % 3 == 0) all.push_back(periodic_defer());
  }
  return all;
}

}  // namespace postpone::tests

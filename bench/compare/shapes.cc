#include "bench/compare/shapes.h"

#include "bench/compare/statements.h"
#include "bench/stage.h"

namespace postpone::bench {
namespace {

constexpr int kPlainJobs = 1000;     // behind the shape
constexpr int kEndedTogether = 100;  // in which jobs are worked off under a snapshot

// So many rows, with values that may depend on `i`.
std::string insert(const Shape& shape, int rows) {
  return "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, scheduled_at, status) SELECT " +
         shape.queue + ", 'misbehave.noop', " + shape.lock + ", " + shape.scheduled_at + ", " +
         (shape.have_ended ? "'succeeded'" : "'todo'") +
         "::procrastinate_job_status FROM generate_series(1, " + std::to_string(rows) + ") i";
}

}  // namespace

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {
      {.name = "plain", .title = "plain waiting jobs"},
      {.name = "own-locks", .title = "waiting jobs, each with a lock of its own", .lock = "'lock ' || i"},
      {.name = "ended", .title = "jobs that have ended", .have_ended = true},
      {.name = "one-lock", .title = "jobs behind one busy lock", .lock = "'busy 0'", .busy_locks = 1},
      {.name = "100-locks",
       .title = "jobs behind a hundred busy locks",
       .lock = "'busy ' || i % 100",
       .busy_locks = 100},
      {.name = "tomorrow",
       .title = "jobs scheduled for tomorrow",
       .scheduled_at = "now() + interval '1 day'"},
      {.name = "other-queue", .title = "jobs that wait in another queue", .queue = "'other'"},
      {.name = "snapshot",
       .title = "jobs that ended while another session held a snapshot",
       .under_snapshot = true},
  };
  return all;
}

// The first job of each lock runs before any other of that lock is there: so it comes about in life.
void FetchBehind::make_locks_busy(Table& table) const {
  const std::string count = std::to_string(shape_.busy_locks);
  table.client.execute(
      "INSERT INTO procrastinate_jobs (queue_name, task_name, lock) SELECT 'm', 'misbehave.noop', "
      "'busy ' || i FROM generate_series(0, " +
      count + " - 1) i");
  table.client.execute("SELECT count(*) FROM postpone_fetch_jobs(ARRAY['m'], " + table.worker + ", " + count +
                       ")");
}

// Fetches until they have put aside what stands in the way. What they take goes back.
void FetchBehind::settle(Table& table) const {
  std::string before;
  for (int i = 0; i < 100; ++i) {
    table.client.execute("EXECUTE fetch_one");
    table.client.execute(
        "SELECT count(*) FROM postpone_finish_jobs(" + table.worker +
        ", jsonb_build_array(jsonb_build_object('job_id', (SELECT id FROM procrastinate_jobs WHERE "
        "status = 'doing' AND lock IS NULL), 'attempt', 1, 'action', 'release')))");
    const std::string parked =
        table.client.execute("SELECT count(*) FROM procrastinate_jobs WHERE parked = 'lock'");
    if (parked == before) break;
    before = parked;
  }
}

void FetchBehind::fill(Table& table) const {
  table.worker = table.client.execute("SELECT postpone_register_worker('bench', 'bench', 'bench/0', 1)");
  if (shape_.busy_locks > 0) make_locks_busy(table);
  if (shape_.under_snapshot) {
    table.other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    table.other.execute("SELECT count(*) FROM procrastinate_jobs");
  }
  table.client.execute(insert(shape_, rows_));
  if (shape_.under_snapshot) table.client.execute(work_off_in_sets(kEndedTogether));
  table.client.execute(insert({}, kPlainJobs));
  table.client.execute("PREPARE fetch_one AS SELECT * FROM postpone_fetch_jobs(ARRAY['m'], " + table.worker +
                       ", 1)");
  if (shape_.busy_locks > 0) settle(table);
  table.client.execute("VACUUM ANALYZE procrastinate_jobs");
}

Figures FetchBehind::measure(const Load& load) {
  if (!table_) fill(table_.emplace());
  std::vector<double> times;
  for (int i = 0; i < load.jobs; ++i) {
    table_->client.execute("BEGIN");
    const auto begin = now_ns();
    const std::string found = table_->client.execute("EXECUTE fetch_one");
    times.push_back(ms_between(begin, now_ns()));
    table_->client.execute("ROLLBACK");
    if (found.empty()) throw std::runtime_error("a fetch behind " + shape_.title + " finds nothing");
  }
  return figures_of_times(times);
}

}  // namespace postpone::bench

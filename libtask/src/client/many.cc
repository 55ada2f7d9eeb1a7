#include "many.h"

#include <algorithm>
#include <array>

#include "requests.h"

namespace libtask::detail {
namespace {

// A statement's parameters are in memory as a whole, here and in the server, and one has 1 GiB at most.
constexpr std::size_t kMostInOneStatement = 100'000;
constexpr std::size_t kMostBytesInOneStatement = std::size_t{64} << 20U;
constexpr std::size_t kCopyPiece = std::size_t{1} << 20U;

bool fits_one_statement(const std::vector<NewJob>& jobs) {
  std::size_t bytes = 0;
  for (const NewJob& job : jobs) bytes += bytes_of(job);
  return jobs.size() <= kMostInOneStatement && bytes <= kMostBytesInOneStatement;
}

void append(std::vector<Deferred>& all, const Rows& rows) {
  for (int row = 0; row < rows.count(); ++row)
    all.push_back({rows.number(row, 0), disposition_of(rows.text(row, 1))});
}

// A trigger of the application may keep a row from being inserted: then nobody knows which job is which.
void check_count(std::size_t answered, std::size_t asked) {
  if (answered == asked) return;
  throw DatabaseError(
      "of " + std::to_string(asked) + " jobs the database created or met " + std::to_string(answered) +
          ": a trigger on procrastinate_jobs keeps some from being inserted; nothing is created",
      "");
}

std::vector<Deferred> in_one_statement(Session& session, const std::vector<NewJob>& jobs,
                                       const DeferCallback& on_progress) {
  // What is thrown below takes the statement back.
  Whole whole(session, Whole::Statements::several);
  const std::int64_t now_us = now_for(session, jobs);
  std::array<std::vector<Bytes>, kColumns> columns;
  for (const NewJob& job : jobs) {
    std::vector<Bytes> values = columns_of(job, now_us);
    for (std::size_t i = 0; i < kColumns; ++i) columns[i].push_back(std::move(values[i]));
  }
  std::vector<Parameter> parameters;
  for (std::size_t i = 0; i < kColumns; ++i) {
    parameters.push_back(Parameter::array(kTypes[i], columns[i]));
    columns[i] = {};
  }
  const Rows rows = session.query(
      "SELECT job_id, disposition FROM postpone_defer_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9)", parameters);
  std::vector<Deferred> deferred;
  append(deferred, rows);
  check_count(deferred.size(), jobs.size());
  if (on_progress) on_progress({jobs.size(), jobs.size(), jobs.size()});
  whole.commit();
  return deferred;
}

class Copy {
 public:
  Copy(Session& session, const std::vector<NewJob>& jobs, const DeferCallback& on_progress)
      : session_(session), jobs_(jobs), on_progress_(on_progress) {
    progress_.total = jobs.size();
  }

  std::vector<Deferred> run() {
    Whole whole(session_, Whole::Statements::several);
    session_.query(
        "CREATE TEMPORARY TABLE libtask_jobs_to_defer (place bigint, task text, args jsonb, queue text, "
        "priority integer, lock text, queueing_lock text, scheduled_at timestamptz, on_conflict text, meta "
        "jsonb) ON COMMIT DROP");
    send();
    // In parts, so that no array becomes larger than a server takes, and the caller hears of it.
    std::vector<Deferred> deferred;
    deferred.reserve(jobs_.size());
    for (std::size_t first = 0; const std::size_t end : part_ends_) {
      append(deferred, session_.query(kStore, {{Type::int8, to_bytes(static_cast<std::int64_t>(first))},
                                               {Type::int8, to_bytes(static_cast<std::int64_t>(end))}}));
      check_count(deferred.size(), end);
      first = end;
      progress_.stored = end;
      tell();
    }
    session_.query("DROP TABLE pg_temp.libtask_jobs_to_defer");
    whole.commit();
    return deferred;
  }

 private:
  static constexpr const char* kStore =
      "SELECT stored.job_id, stored.disposition FROM (SELECT array_agg(task ORDER BY place) AS tasks, "
      "array_agg(args ORDER BY place) AS args, array_agg(queue ORDER BY place) AS queues, "
      "array_agg(priority ORDER BY place) AS priorities, array_agg(lock ORDER BY place) AS locks, "
      "array_agg(queueing_lock ORDER BY place) AS queueing_locks, array_agg(scheduled_at ORDER BY place) AS "
      "times, array_agg(on_conflict ORDER BY place) AS choices, array_agg(meta ORDER BY place) AS meta "
      "FROM pg_temp.libtask_jobs_to_defer WHERE place >= $1 AND place < $2) AS part, "
      "postpone_defer_jobs(tasks, "
      "args, queues, priorities, locks, queueing_locks, times, choices, meta) AS stored";

  void send() {
    const std::int64_t now_us = now_for(session_, jobs_);
    session_.query("COPY pg_temp.libtask_jobs_to_defer FROM STDIN WITH (FORMAT binary)");
    std::string rows = copy_header();
    try {
      for (const NewJob& job : jobs_) {
        std::vector<Bytes> row = columns_of(job, now_us);
        row.insert(row.begin(), to_bytes(static_cast<std::int64_t>(progress_.sent)));
        append_copy_row(rows, row);
        ++progress_.sent;
        end_part_if_full(bytes_of(job));
        if (rows.size() < kCopyPiece) continue;
        session_.send(rows);
        rows.clear();
        tell();
      }
      session_.send(rows + copy_trailer());
    } catch (...) {
      session_.abandon_copy();
      throw;
    }
    session_.end_copy();
    if (part_ends_.empty() || part_ends_.back() < jobs_.size()) part_ends_.push_back(jobs_.size());
    tell();
  }

  void end_part_if_full(std::size_t bytes_of_job) {
    bytes_of_part_ += bytes_of_job;
    const std::size_t begin = part_ends_.empty() ? 0 : part_ends_.back();
    if (progress_.sent - begin < kMostInOneStatement && bytes_of_part_ < kMostBytesInOneStatement) return;
    part_ends_.push_back(progress_.sent);
    bytes_of_part_ = 0;
  }

  void tell() {
    if (on_progress_) on_progress_(progress_);
  }

  Session& session_;
  const std::vector<NewJob>& jobs_;
  const DeferCallback& on_progress_;
  DeferProgress progress_;
  std::vector<std::size_t> part_ends_;
  std::size_t bytes_of_part_ = 0;
};

}  // namespace

std::vector<Deferred> defer_many(Session& session, const std::vector<NewJob>& jobs,
                                 const DeferCallback& on_progress) {
  if (jobs.empty()) return {};
  if (!fits_one_statement(jobs)) return Copy(session, jobs, on_progress).run();
  return in_one_statement(session, jobs, on_progress);
}

}  // namespace libtask::detail

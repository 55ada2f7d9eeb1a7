// Running jobs: leases, fetches, outcomes, and what wakes those who run them.
#include <algorithm>
#include <iterator>
#include <utility>

#include "sql/job_manager_impl.h"

namespace postpone::sql {
namespace {

// The numbers of workers and jobs begin with 1.
constexpr WorkerId kNoWorker = 0;
constexpr Success kSuccessOfNoJob{.attempt = 1};
// For this transaction: what fetch and finish set before they call the functions that are rehearsed.
constexpr const char* kPinPlans =
    "select set_config(name, value, true) from (values ('jit', 'off'), ('plan_cache_mode', "
    "'force_generic_plan'),"
    " ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off')) pinned (name, value)";
constexpr const char* kRetryOfNoJob = R"({"job_id": 0, "attempt": 1, "action": "retry"})";

Statement finish_statement(WorkerId worker_id, const OutcomeTexts& outcomes) {
  return {"select " + std::string(kRecordedColumns) + " from postpone_finish_jobs($1::bigint, $2::jsonb)",
          {to_parameter(worker_id), json_array(outcomes)},
          true};
}

// An array of these numbers, for a parameter.
template <class Number>
std::string numbers_of(const std::vector<Success>& successes, Number number_of) {
  std::string array = "{";
  for (const Success& success : successes) {
    if (array.size() > 1) array += ',';
    array += to_parameter(number_of(success));
  }
  return array + "}";
}

constexpr const char* kSuccessParameters =
    "($1::bigint, $2::bigint[], $3::int[], $4::float8[], $5::float8[], $6::bigint[], ";

std::vector<Parameter> success_parameters(WorkerId worker_id, const std::vector<Success>& successes) {
  return {to_parameter(worker_id),
          numbers_of(successes, [](const Success& success) { return success.job_id; }),
          numbers_of(successes, [](const Success& success) { return std::int64_t{success.attempt}; }),
          numbers_of(successes, [](const Success& success) { return success.run_time.count(); }),
          numbers_of(successes, [](const Success& success) { return success.cpu_time.count(); }),
          numbers_of(successes, [](const Success& success) { return success.max_rss_bytes; })};
}

Statement successes_statement(WorkerId worker_id, const std::vector<Success>& successes) {
  static const std::string kSql = "select " + std::string(kRecordedColumns) +
                                  " from postpone_finish_successes" + kSuccessParameters +
                                  "$7::bool, $8::bool, $9::bool)";
  Statement statement{kSql, success_parameters(worker_id, successes), true};
  const Success& first = successes.front();
  for (const bool flag : {first.delete_job, first.omit_events, first.omit_attempt})
    statement.parameters.emplace_back(to_parameter(flag));
  return statement;
}

// The answer tells only of those that were not simply recorded.
std::vector<Recorded> all_recorded(const std::vector<Success>& successes, const Result& result) {
  std::vector<Recorded> recorded;
  recorded.reserve(successes.size());
  for (const Success& success : successes)
    recorded.push_back({success.job_id, Disposition::recorded, {}, JobStatus::succeeded});
  for (const Row row : result) {
    const Recorded other = recorded_of(row);
    *std::ranges::find(recorded, other.job_id, &Recorded::job_id) = other;
  }
  return recorded;
}

std::vector<Statement> finish_statements(WorkerId worker_id, const Ended& ended) {
  std::vector<Statement> statements;
  if (!ended.successes.empty()) statements.push_back(successes_statement(worker_id, ended.successes));
  if (!ended.outcomes.empty()) statements.push_back(finish_statement(worker_id, ended.outcomes));
  return statements;
}

// The results of those statements begin at `first`.
std::vector<Recorded> recorded_of(const Ended& ended, const std::vector<Result>& results, std::size_t first) {
  std::vector<Recorded> recorded;
  if (!ended.successes.empty()) recorded = all_recorded(ended.successes, results[first++]);
  if (!ended.outcomes.empty()) {
    const std::vector<Recorded> others =
        each(results[first], [](const Row& row) { return sql::recorded_of(row); });
    recorded.insert(recorded.end(), others.begin(), others.end());
  }
  return recorded;
}

// No list at all is quicker to compare with than an empty one.
template <class T>
Parameter null_or(const std::vector<T>& values) {
  if (values.empty()) return std::nullopt;
  return to_parameter(values);
}

// Of jobs that were tried before. A strict function costs nothing where its argument is null.
constexpr const char* kBudget =
    " left join lateral postpone_retry_budget(case when f.attempts > 0 then f.id end) b on true";
constexpr const char* kBudgetColumns = ", b.uncounted, b.allowed, b.misfits";
RetryBudget budget_of(const Row& row, int column) {
  if (row.is_null(column)) return {};
  return {.uncounted = row.get<int>(column),
          .allowed = row.get<std::optional<int>>(column + 1),
          .misfits = row.get<int>(column + 2)};
}

Statement fetch_statement(const FetchRequest& request) {
  static const std::string kColumns = "select " + job_columns("f") +
                                      ", f.more, f.is_claimed, f.waiting, f.from_top, f.meta, f.deferred_by" +
                                      kBudgetColumns;
  const std::string from =
      " from postpone_fetch_jobs($1::varchar[], $2::bigint, $3::int, $4::bigint[], $5::text[]" +
      std::string(request.omit_events ? ", true" : ", false") + (request.may_claim ? ", true" : ", false") +
      ", $6::text[], $7::int, $8::int, $9::bigint) f" + kBudget;
  std::optional<std::int64_t> start_priority, start_id;
  if (request.start) {
    start_priority = request.start->priority;
    start_id = request.start->id;
  }
  return {kColumns + (request.ask_waited ? ", postpone_waited(f.id, f.scheduled_at)" : "") + from,
          {to_parameter(request.queues), to_parameter(request.worker_id), to_parameter(request.max_jobs),
           null_or(request.passed_over), null_or(request.passed_over_tasks), null_or(request.slow_tasks),
           to_parameter(request.sharers), to_parameter(start_priority), to_parameter(start_id)},
          true};
}

Job leased_job_of(const Row& row, WorkerId worker_id) {
  Job job = job_of(row);
  job.status = JobStatus::doing;
  job.worker_id = worker_id;
  return job;
}

Fetched fetched_of(const Result& result, WorkerId worker_id, bool tells_waited) {
  Fetched fetched;
  fetched.jobs.reserve(static_cast<std::size_t>(result.rows()));
  for (const Row row : result) {
    Job job = leased_job_of(row, worker_id);
    job.is_claimed = row.get<bool>(kJobColumns + 1);
    if (job.is_claimed) job.status = JobStatus::todo;
    fetched.waiting = row.get<std::optional<int>>(kJobColumns + 2);
    fetched.from_top = row.get<bool>(kJobColumns + 3);
    job.meta = meta_of(row, kJobColumns + 4);
    job.deferred_by = row.get<std::optional<JobId>>(kJobColumns + 5);
    job.budget = budget_of(row, kJobColumns + 6);
    if (tells_waited && !row.is_null(kJobColumns + 9)) job.waited = Seconds(row.get<double>(kJobColumns + 9));
    fetched.jobs.push_back(std::move(job));
    fetched.more = row.get<bool>(kJobColumns);
  }
  return fetched;
}

}  // namespace

WorkerId JobManager::register_worker(const WorkerDescription& description) {
  const Result result = impl_->connection.query(
      "select postpone_register_worker($1::text, $2::text, $3::text, $4::int, $5::text[])",
      {description.supervisor, description.host, description.name, to_parameter(description.pid),
       to_parameter(description.queues)});
  return result.only().get<WorkerId>(0);
}

void JobManager::unregister_worker(WorkerId id) {
  impl_->connection.query("select procrastinate_unregister_worker_v1($1::bigint)", {to_parameter(id)});
}

Heartbeats JobManager::heartbeat(const std::vector<WorkerId>& ids) {
  const std::vector<Result> results = impl_->connection.pipeline(
      {{"select unnest(postpone_store_heartbeats($1::bigint[]))", {to_parameter(ids)}},
       {"select id from procrastinate_workers where id = any($1::bigint[]) order by id",
        {to_parameter(ids)}}});
  Heartbeats heartbeats;
  heartbeats.stored = ids_of(results.front());
  const std::vector<WorkerId> existing = ids_of(results.back());
  std::vector<WorkerId> asked = ids;
  std::ranges::sort(asked);
  std::ranges::set_difference(existing, heartbeats.stored, std::back_inserter(heartbeats.locked));
  std::vector<WorkerId> heard;
  std::ranges::set_union(existing, heartbeats.stored, std::back_inserter(heard));
  std::ranges::set_difference(asked, heard, std::back_inserter(heartbeats.gone));
  return heartbeats;
}

FinishedAndFetched JobManager::finish_and_fetch(WorkerId worker_id, const Ended& ended,
                                                const FetchRequest& fetch) {
  std::vector<Statement> statements = finish_statements(worker_id, ended);
  if (fetch.max_jobs > 0) statements.push_back(fetch_statement(fetch));
  if (statements.empty()) return {};

  const std::vector<Result> results = impl_->connection.pipeline(statements);
  FinishedAndFetched done;
  done.recorded = recorded_of(ended, results, 0);
  if (fetch.max_jobs > 0) done.fetched = fetched_of(results.back(), fetch.worker_id, fetch.ask_waited);
  return done;
}

std::vector<Recorded> JobManager::finish_and_settle(WorkerId worker_id, const Ended& ended,
                                                    const std::vector<JobId>& running) {
  std::vector<Statement> statements;
  if (!running.empty()) {
    statements.push_back({"select from postpone_hold_worker($1::bigint)", {to_parameter(worker_id)}, true});
    statements.push_back({"select from postpone_settle_claims($1::bigint, $2::bigint[])",
                          {to_parameter(worker_id), to_parameter(running)},
                          true});
  }
  const std::size_t first = statements.size();
  std::ranges::move(finish_statements(worker_id, ended), std::back_inserter(statements));
  if (statements.empty()) return {};
  return recorded_of(ended, impl_->connection.pipeline(statements), first);
}

bool JobManager::store_progress(WorkerId worker_id, JobId job_id, int attempt, const Progress& progress) {
  const auto count = [](std::uint64_t number) { return to_parameter(cut_to_signed(number)); };
  const Result result = impl_->connection.query(
      "select postpone_store_progress($1::bigint, $2::bigint, $3::int, $4::bigint, $5::bigint, $6::text)",
      {to_parameter(worker_id), to_parameter(job_id), to_parameter(attempt), count(progress.done),
       count(progress.total), storable(progress.note)});
  return result.only().get<bool>(0);
}

void JobManager::rehearse_run() {
  if (!impl_->connection.is_direct()) return;
  impl_->connection.pipeline(
      {{kPinPlans, {}},
       {"select from postpone_start_jobs('{}'::bigint[], 0)", {}},
       {std::string("select postpone_apply_successes") + kSuccessParameters + "false, false)",
        success_parameters(kNoWorker, {})},
       successes_statement(kNoWorker, {kSuccessOfNoJob})});
}

// The rescue of no worker ends before its jobs are looked at: what it does with them is a retry.
void JobManager::rehearse_rescue() {
  if (!impl_->connection.is_direct()) return;
  impl_->connection.pipeline({finish_statement(kNoWorker, {kRetryOfNoJob})});
  RescueRequest rescue;
  rescue.worker_id = kNoWorker;
  rescue.is_kept = true;
  rescue_worker(rescue);
}

FetchedAround JobManager::fetch_around(const FetchRequest& fetch) {
  static const std::string kSql = "select " + job_columns("f") +
                                  ", f.more, f.refused_because, f.meta, f.deferred_by" + kBudgetColumns +
                                  " from postpone_fetch_around($1::varchar[], $2::bigint, $3::bigint[], "
                                  "$4::text[]) f" +
                                  kBudget;
  const Result result =
      impl_->connection.query(kSql, {to_parameter(fetch.queues), to_parameter(fetch.worker_id),
                                     to_parameter(fetch.passed_over), null_or(fetch.passed_over_tasks)});
  FetchedAround around;
  for (const Row row : result) {
    if (!row.is_null(kJobColumns + 1)) {
      around.refused.push_back({job_of(row), row.get<std::string>(kJobColumns + 1)});
      continue;
    }
    around.fetched.jobs.push_back(leased_job_of(row, fetch.worker_id));
    around.fetched.jobs.back().meta = meta_of(row, kJobColumns + 2);
    around.fetched.jobs.back().deferred_by = row.get<std::optional<JobId>>(kJobColumns + 3);
    around.fetched.jobs.back().budget = budget_of(row, kJobColumns + 4);
    around.fetched.more = row.get<bool>(kJobColumns);
  }
  return around;
}

std::vector<JobToStop> JobManager::jobs_to_stop(const std::vector<RunningJob>& running) {
  std::vector<WorkerId> workers;
  std::vector<JobId> jobs;
  for (const RunningJob& job : running) {
    workers.push_back(job.worker_id);
    jobs.push_back(job.job_id);
  }
  const Result result = impl_->connection.query(
      "select worker_id, job_id, is_held from postpone_jobs_to_stop($1::bigint[], $2::bigint[])",
      {to_parameter(workers), to_parameter(jobs)});
  return each(result, [](const Row& row) {
    return JobToStop{{row.get<WorkerId>(0), row.get<JobId>(1)}, row.get<bool>(2)};
  });
}

std::optional<NextDue> JobManager::next_due(std::optional<SystemTime> after) {
  const Result result = impl_->connection.query(
      "select " + microseconds_of("d.due_at") +
          ", d.due_in, q from postpone_next_due($1::timestamptz) d, unnest(d.queue_names) q",
      {to_parameter(after)});
  if (result.empty()) return std::nullopt;
  NextDue next{result.row(0).get<SystemTime>(0), Seconds(result.row(0).get<double>(1)), {}};
  next.queues = each(result, [](const Row& row) { return row.get<std::string>(2); });
  return next;
}

}  // namespace postpone::sql

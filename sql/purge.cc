#include "sql/purge.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "sql/connection.h"
#include "sql/in_halves.h"

namespace postpone::sql {
namespace {

// A step looks at so many jobs. To delete them all takes it some hundredths of a second.
constexpr int kJobsOfAStep = 1000;

// The end of a statement that chooses, among the jobs j with the ids $1, those to delete: their last event
// must be older than $2. (An event in the future does not count: any login that may defer can write one.)
Statement chosen(const PurgeOptions& options, const std::vector<JobId>& ids, const std::string& moment) {
  Statement statement;
  statement.parameters = {to_parameter(ids), moment};
  std::string labels;
  for (const JobStatus status : options.statuses)
    labels += (labels.empty() ? "'" : ", '") + std::string(to_string(status)) + "'";
  statement.sql = " from procrastinate_jobs j where j.id = any($1::bigint[]) and j.status in (" + labels +
                  ") and (select max(e.at) from procrastinate_events e"
                  "      where e.job_id = j.id and e.type is distinct from 'scheduled' and e.at <= now())"
                  " < timestamptz 'epoch' + $2::bigint * interval '1 microsecond'";
  const auto equals = [&statement](const char* column, const std::optional<std::string>& value) {
    if (!value) return;
    statement.parameters.emplace_back(*value);
    // Not by the index of queue names: the few jobs of this step are found by their ids.
    statement.sql +=
        std::string(" and ") + column + " || '' = $" + std::to_string(statement.parameters.size());
  };
  equals("j.queue_name", options.queue);
  equals("j.task_name", options.task);
  return statement;
}

Statement step_statement(const PurgeOptions& options, Statement chosen) {
  if (options.dry_run) {
    chosen.sql = "select j.status, count(*)" + chosen.sql + " group by 1";
  } else {
    chosen.sql =
        "with old as materialized (select j.id" + chosen.sql +
        " order by j.id for update skip locked),"
        " gone as (delete from procrastinate_jobs j using old where j.id = old.id returning j.status)"
        " select status, count(*) from gone group by 1";
  }
  return chosen;
}

}  // namespace

bool has_ended(JobStatus status) {
  return status != JobStatus::todo && status != JobStatus::doing && status != JobStatus::aborting;
}

struct Purge::Impl {
  Impl(const ConnectOptions& connect_options, PurgeOptions purge_options)
      : connection(connect_options), options(std::move(purge_options)) {}

  Connection connection;
  PurgeOptions options;
  std::string moment;  // by the database's clock, in microseconds since 1970
  JobId first = 0;
  JobId last = 0;
  JobId next = 0;  // what comes before it was looked at; of no meaning once all were
  bool all_seen = false;
  std::map<JobStatus, std::int64_t> deleted;

  // The status and number of those deleted.
  using Counts = std::vector<std::pair<JobStatus, std::int64_t>>;
  Counts purge(const std::vector<JobId>& ids);
};

Purge::Impl::Counts Purge::Impl::purge(const std::vector<JobId>& ids) {
  const std::vector<Result> results =
      connection.pipeline({step_statement(options, chosen(options, ids, moment))});
  Counts counts;
  for (const Row row : results.front()) {
    if (const auto status = parse_job_status(row.text(0)))
      counts.emplace_back(*status, row.get<std::int64_t>(1));
  }
  return counts;
}

Purge::Purge(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Purge::Purge(Purge&&) noexcept = default;
Purge& Purge::operator=(Purge&&) noexcept = default;
Purge::~Purge() = default;

Purge Purge::begin(const ConnectOptions& connect_options, PurgeOptions options) {
  if (options.statuses.empty() || !std::all_of(options.statuses.begin(), options.statuses.end(), has_ended))
    throw std::invalid_argument("Purge: only jobs that have ended can be purged");
  auto impl = std::make_unique<Impl>(connect_options, std::move(options));
  const Result result = impl->connection.query(
      "select (extract(epoch from now()) * 1000000 - $1::double precision::numeric * 1000000)::bigint, "
      "coalesce(min(j.id), 0),"
      " coalesce(max(j.id), -1) from procrastinate_jobs j",
      {to_parameter(impl->options.older_than.count())});
  const Row row = result.only();
  impl->moment = row.get<std::string>(0);
  impl->first = row.get<JobId>(1);
  impl->last = row.get<JobId>(2);
  impl->next = impl->first;
  impl->all_seen = impl->first > impl->last;
  return Purge(std::move(impl));
}

bool Purge::step() {
  if (impl_->all_seen) return false;
  std::vector<JobId> ids;
  for (const Row row : impl_->connection.query(
           "select j.id from procrastinate_jobs j where j.id >= $1::bigint and j.id <= $2::bigint"
           " order by j.id limit " +
               std::to_string(kJobsOfAStep),
           {to_parameter(impl_->next), to_parameter(impl_->last)})) {
    ids.push_back(row.get<JobId>(0));
  }
  const JobId until = ids.empty() ? impl_->last : ids.back();
  const auto purged = in_halves(
      ids, [&](const std::vector<JobId>& part) { return impl_->purge(part); },
      [](JobId, const DatabaseError&) {
        return std::pair{JobStatus::todo, std::int64_t{0}};
      });
  for (const auto& [status, count] : purged) {
    if (count > 0) impl_->deleted[status] += count;
  }
  // An id may be the greatest that there is.
  impl_->all_seen = until >= impl_->last;
  if (!impl_->all_seen) impl_->next = until + 1;
  return true;
}

double Purge::done() const {
  if (impl_->all_seen) return 1;
  const auto first = static_cast<double>(impl_->first);
  return (static_cast<double>(impl_->next) - first) / (static_cast<double>(impl_->last) - first + 1);
}

const std::map<JobStatus, std::int64_t>& Purge::deleted() const {
  return impl_->deleted;
}

std::string Purge::database() const {
  return impl_->connection.database();
}

}  // namespace postpone::sql

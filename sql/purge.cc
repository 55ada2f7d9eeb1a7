#include "sql/purge.h"

#include <algorithm>
#include <stdexcept>

#include "sql/connection.h"

namespace postpone::sql {
namespace {

// Jobs that one step looks at. It deletes so many at most, which takes some hundredths of a second.
constexpr int kJobsOfAStep = 1000;

// The jobs j of a step that are to go, as the end of a statement; $1 and $2 are the ids between which they
// are, $3 is the moment before which the last event must have been.
Statement chosen(const PurgeOptions& options, JobId after, JobId last, const std::string& moment) {
  Statement statement;
  statement.parameters = {to_parameter(after), to_parameter(last), moment};
  std::string labels;
  for (const JobStatus status : options.statuses)
    labels += (labels.empty() ? "'" : ", '") + std::string(to_string(status)) + "'";
  statement.sql =
      " from procrastinate_jobs j where j.id > $1::bigint and j.id <= $2::bigint and j.status in (" + labels +
      ") and (select max(e.at) from procrastinate_events e"
      "      where e.job_id = j.id and e.type is distinct from 'scheduled') < $3::timestamptz";
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
  std::string moment;  // as the database writes it
  JobId first = 0;
  JobId last = 0;
  JobId position = 0;  // the last id that was looked at
  std::map<JobStatus, std::int64_t> deleted;
};

Purge::Purge(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Purge::Purge(Purge&&) noexcept = default;
Purge& Purge::operator=(Purge&&) noexcept = default;
Purge::~Purge() = default;

Purge Purge::begin(const ConnectOptions& connect_options, PurgeOptions options) {
  if (options.statuses.empty() || !std::all_of(options.statuses.begin(), options.statuses.end(), has_ended))
    throw std::invalid_argument("Purge: only jobs that have ended can be purged");
  auto impl = std::make_unique<Impl>(connect_options, std::move(options));
  const Result result = impl->connection.query(
      "select (now() - $1::double precision * interval '1 second')::text, coalesce(min(j.id), 0),"
      " coalesce(max(j.id), -1) from procrastinate_jobs j",
      {to_parameter(impl->options.older_than.count())});
  const Row row = result.only();
  impl->moment = row.get<std::string>(0);
  impl->first = row.get<JobId>(1);
  impl->last = row.get<JobId>(2);
  impl->position = impl->first - 1;
  return Purge(std::move(impl));
}

bool Purge::step() {
  if (impl_->position >= impl_->last) return false;
  const Result window = impl_->connection.query(
      "select coalesce(max(w.id), $2::bigint) from (select j.id from procrastinate_jobs j"
      " where j.id > $1::bigint and j.id <= $2::bigint order by j.id limit " +
          std::to_string(kJobsOfAStep) + ") w",
      {to_parameter(impl_->position), to_parameter(impl_->last)});
  const JobId until = window.only().get<JobId>(0);
  Statement statement =
      step_statement(impl_->options, chosen(impl_->options, impl_->position, until, impl_->moment));
  const std::vector<Result> results = impl_->connection.pipeline({std::move(statement)});
  for (const Row row : results.front()) {
    if (const auto status = parse_job_status(row.text(0)))
      impl_->deleted[*status] += row.get<std::int64_t>(1);
  }
  impl_->position = until;
  return true;
}

double Purge::done() const {
  const double all = static_cast<double>(impl_->last - impl_->first + 1);
  return all <= 0 ? 1 : static_cast<double>(impl_->position - impl_->first + 1) / all;
}

const std::map<JobStatus, std::int64_t>& Purge::deleted() const {
  return impl_->deleted;
}

}  // namespace postpone::sql

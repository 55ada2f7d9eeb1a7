// The list of jobs: a page of it by id, and what stands behind its tabs.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "sql/fleet_impl.h"

namespace postpone::sql {
namespace {

using Field = JobCondition::Field;
using Tab = JobSearch::Tab;

// '*' stands for any text, everything else for itself.
std::string like_pattern(const std::string& value) {
  std::string pattern;
  for (const char c : value) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c == '*' ? '%' : c;
  }
  return pattern;
}

class Conditions {
 public:
  std::string add_parameter(std::string value) {
    parameters_.emplace_back(std::move(value));
    return "$" + std::to_string(parameters_.size());
  }

  void add(const JobCondition& condition) {
    const std::string sql = sql_of(condition);
    sql_ += condition.is_not ? " and (" + sql + ") is not true" : " and " + sql;
  }

  void add(Tab tab) { sql_ += sql_of(tab); }

  const std::string& sql() const { return sql_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

 private:
  std::string text(const std::string& column, const std::string& value) {
    if (value.find('*') == std::string::npos) return column + " = " + add_parameter(value) + "::text";
    return column + " like " + add_parameter(like_pattern(value)) + "::text";
  }

  std::string sql_of(const JobCondition& condition) {
    switch (condition.field) {
      case Field::task:
        return text("j.task_name", condition.value);
      case Field::queue:
        return text("j.queue_name", condition.value);
      case Field::lock:
        return text("j.lock", condition.value);
      case Field::queueing_lock:
        return text("j.queueing_lock", condition.value);
      case Field::id_from:
        return "j.id >= " + add_parameter(condition.value) + "::bigint";
      case Field::id_to:
        return "j.id <= " + add_parameter(condition.value) + "::bigint";
      case Field::argument: {
        const std::string name = add_parameter(condition.argument);
        return "case when jsonb_typeof(j.args) = 'object' then j.args ->> " + name +
               "::text end = " + add_parameter(condition.value) + "::text";
      }
      case Field::cause:
        return "(select a.cause::text from postpone_attempts a where a.job_id = j.id order by a.attempt desc "
               "limit 1) = " +
               add_parameter(condition.value) + "::text";
    }
    return "true";
  }

  static std::string sql_of(Tab tab) {
    switch (tab) {
      case Tab::all:
        return "";
      case Tab::waiting:
        return " and j.status = 'todo' and (j.scheduled_at is null or j.scheduled_at <= now())"
               " and not exists (select from postpone_claims c where c.job_id = j.id)";
      case Tab::scheduled:
        return " and j.status = 'todo' and j.scheduled_at > now()";
      case Tab::running:
        return "";
      case Tab::failed:
        return " and j.status = 'failed'";
      case Tab::succeeded:
        return " and j.status = 'succeeded'";
      case Tab::cancelled:
        return " and j.status = 'cancelled'";
      case Tab::aborted:
        return " and j.status in ('aborted', 'aborting')";
    }
    return "";
  }

  std::string sql_;
  std::vector<Parameter> parameters_;
};

// What a page is cut from: the running jobs, of which there are few, or kWindow jobs by id, whose rows lie side by
// side. A condition on the id is part of the cut, so that the window begins there.
std::string source(const JobSearch& search, const std::string& ids, const std::string& order) {
  if (search.tab == Tab::running) {
    return "(select r.* from procrastinate_jobs r where r.status = 'doing' union all"
           " select r.* from postpone_claims c cross join lateral (select r.* from procrastinate_jobs r"
           "   where r.id = c.job_id and r.status = 'todo' limit 1) r) j"
           " where true" +
           ids;
  }
  std::string inner = ids;
  for (std::size_t at = 0; (at = inner.find("j.id", at)) != std::string::npos; at += 4)
    inner.replace(at, 4, "w.id");
  return "(select w.* from procrastinate_jobs w where true" + inner + " order by w.id " + order + " limit " +
         std::to_string(kWindow) + ") j where true";
}

// The ids in which the page lies; those of the search itself, of which the narrowest counts.
std::string ids_of(const JobSearch& search, Conditions& conditions) {
  std::string sql;
  if (search.before)
    sql += " and j.id < " + conditions.add_parameter(to_parameter(*search.before)) + "::bigint";
  if (search.after)
    sql += " and j.id > " + conditions.add_parameter(to_parameter(*search.after)) + "::bigint";
  for (const JobCondition& condition : search.conditions) {
    if (condition.is_not || (condition.field != Field::id_from && condition.field != Field::id_to)) continue;
    sql += condition.field == Field::id_from ? " and j.id >= " : " and j.id <= ";
    sql += conditions.add_parameter(condition.value) + "::bigint";
  }
  return sql;
}

struct Search {
  Statement page;
  Statement window_end;  // the id at which the window ends, when there are jobs behind it
};

Search statements_of(const JobSearch& search, bool hide_arguments) {
  Conditions conditions;
  const std::string order = search.after ? "asc" : "desc";
  const std::string ids = ids_of(search, conditions);
  const std::vector<Parameter> id_parameters = conditions.parameters();
  conditions.add(search.tab);
  for (const JobCondition& condition : search.conditions) conditions.add(condition);
  const std::string chosen = "select j.* from " + source(search, ids, order) + conditions.sql() +
                             " order by j.id " + order + " limit " + std::to_string(kJobsOnPage + 1);
  const ArgumentsRead arguments = hide_arguments ? ArgumentsRead::none : ArgumentsRead::beginning;
  return {{"select " + job_line_columns(arguments) + " from (" + chosen + ") j" + job_line_joins() +
               " order by j.id " + order,
           conditions.parameters()},
          {"select j.id from procrastinate_jobs j where true" + ids + " order by j.id " + order + " offset " +
               std::to_string(kWindow - 1) + " limit 1",
           id_parameters}};
}

bool asks_for_arguments(const JobSearch& search) {
  return std::any_of(search.conditions.begin(), search.conditions.end(),
                     [](const JobCondition& condition) { return condition.field == Field::argument; });
}

}  // namespace

JobsPage Fleet::jobs(const JobSearch& search) {
  if (impl_->hide_arguments && asks_for_arguments(search))
    throw std::invalid_argument("arguments are hidden, and cannot be searched");
  Search statements = statements_of(search, impl_->hide_arguments);
  std::vector<Result> results = impl_->read({statements.page});
  JobsPage page;
  page.reading = reading_of(results[0].only());
  page.jobs = each(results[1], job_line_of);
  const bool is_full = page.jobs.size() > kJobsOnPage;
  if (is_full) page.jobs.pop_back();
  if (search.after) std::reverse(page.jobs.begin(), page.jobs.end());
  page.has_older = search.after ? true : is_full;
  page.has_newer = search.after ? is_full : search.before.has_value();
  if (is_full || search.tab == Tab::running) return page;
  const std::vector<Result> end = impl_->read({statements.window_end});
  if (end[1].empty()) return page;
  (search.after ? page.searched_up_to : page.searched_to) = end[1].only().get<JobId>(0);
  if (search.after) page.has_newer = true;
  return page;
}

JobCounts Fleet::counts() {
  const std::vector<Result> results = impl_->read(
      {{"select " +
            bounded("from procrastinate_jobs where status = 'todo' and parked is null"
                    " and (scheduled_at is null or scheduled_at <= now()) order by (-priority::bigint), id") +
            ", " +
            bounded("from procrastinate_jobs where status = 'todo' and parked = 'lock' order by lock") +
            ", " +
            bounded(
                "from procrastinate_jobs where status = 'todo' and parked = 'time' and scheduled_at > now()"
                " order by coalesce(scheduled_at, '-infinity') desc") +
            ", " +
            bounded("from procrastinate_jobs where status = 'todo' and parked is null and scheduled_at is "
                    "not null"
                    " and scheduled_at > now() order by scheduled_at") +
            ", " + bounded("from procrastinate_jobs where status = 'doing' order by lock") + ", " +
            bounded("from postpone_claims") +
            ", (select greatest(reltuples, 0)::bigint from pg_class where oid = "
            "'procrastinate_jobs'::regclass)",
        {}}});
  const Row row = results[1].only();
  const auto sum = [&row](int a, int b) {
    const std::int64_t count = row.get<std::int64_t>(a) + row.get<std::int64_t>(b);
    return BoundedCount{std::min(count, kMostCounted), count > kMostCounted};
  };
  return {sum(0, 1), sum(2, 3), sum(4, 5), row.get<std::int64_t>(6)};
}

}  // namespace postpone::sql

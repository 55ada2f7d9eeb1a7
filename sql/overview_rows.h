// How leases and running jobs are read, for the files that show them. Internal to sql/.
#pragma once

#include <string>

#include "sql/overview.h"
#include "sql/result.h"

namespace postpone::sql {

// What lease_of() reads, of procrastinate_workers w and postpone_workers o.
std::string lease_columns();
inline constexpr int kLeaseColumns = 9;
Lease lease_of(const Row& row, int first);

// What run_of() reads, of the tables of kRunTables.
std::string run_columns();
// For a job j in doing.
inline constexpr const char* kRunTables =
    " left join procrastinate_workers w on w.id = j.worker_id"
    " left join postpone_workers o on o.worker_id = w.id"
    " left join lateral (select max(e.at) as at from procrastinate_events e"
    "                    where e.job_id = j.id and e.type = 'started') started on true";
DoingJob run_of(const Row& row, int first = 0);

std::optional<Seconds> seconds_at(const Row& row, int column);

}  // namespace postpone::sql

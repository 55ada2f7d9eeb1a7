// Jobs to be deferred, as parameters of statements.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libtask/client.h"
#include "session.h"

namespace libtask::detail {

// Throws std::invalid_argument for a job that the database could not take, or that says two things.
void check(const NewJob& job);

std::string_view to_string(OnConflict choice);
Disposition disposition_of(std::string_view label);

// The columns of a job: task, args, queue, priority, lock, queueing_lock, scheduled_at, on_conflict, meta, as
// postpone_defer_jobs() takes them. `now_us` is the database's clock, for schedule_in.
inline constexpr std::size_t kColumns = 9;
extern const Type kTypes[kColumns];
std::vector<Bytes> columns_of(const NewJob& job, std::int64_t now_us);

// About how many bytes the job has on its way.
std::size_t bytes_of(const NewJob& job);

// Of the database, in microseconds since 1970. Asks only when one of the jobs needs it.
std::int64_t now_for(Session& session, const std::vector<NewJob>& jobs);

}  // namespace libtask::detail

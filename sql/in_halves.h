// Work on many rows of which the database may refuse some: the others are done all the same. Internal to
// sql/.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "sql/error.h"
#include "sql/job.h"

namespace postpone::sql {

// Whether what the server says may be about one row only (a foreign key or a trigger of the application, a
// lock that another session holds), and not about the statement or the connection.
inline bool is_of_a_row(const DatabaseError& error) {
  if (error.sqlstate() == "55P03" || error.sqlstate() == "57014") return true;
  return error.remedy() == Remedy::bug && !error.sqlstate().empty() && !error.sqlstate().starts_with("42");
}

// Calls work(ids), which gives a vector; where that fails for a row, with each half of the ids, and so on;
// for a single id that fails refused(id, error) stands in its place.
template <class Work, class Refused>
auto in_halves(const std::vector<JobId>& ids, const Work& work, const Refused& refused)
    -> decltype(work(ids)) {
  try {
    return work(ids);
  } catch (const DatabaseError& error) {
    if (!is_of_a_row(error)) throw;
    if (ids.size() == 1) return {refused(ids.front(), error)};
  }
  const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(ids.size() / 2);
  auto results = in_halves(std::vector<JobId>(ids.begin(), middle), work, refused);
  for (auto& result : in_halves(std::vector<JobId>(middle, ids.end()), work, refused))
    results.push_back(std::move(result));
  return results;
}

}  // namespace postpone::sql

// What must be left when a torture run is over: families that have everything they began with, and then
// nothing at all. Each function returns what is wrong, a line each; empty when nothing is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/torture/field.h"
#include "tests/torture/rows.h"

namespace postpone::torture {

using Complaints = std::vector<std::string>;

// The most open descriptors of a process, by its role: supervisor, sub-worker, housekeeper.
using Descriptors = std::map<std::string, std::size_t>;

// Waits until every family is complete and does nothing. REQUIRES: no job waits.
Complaints wait_until_idle(Field& field, Database& database);

Descriptors count_descriptors(Field& field);

// Descriptors that have grown, permits of nobody, graves that nobody settles, leases of nobody. REQUIRES:
// idle.
Complaints find_leaks(Field& field, Database& database, const Descriptors& before);

// Gives every sub-worker a job at the same moment: each must find its way to the database.
Complaints run_all_at_once(Field& field, Database& database);

// Drains all families, and looks for processes, connections and worker rows.
Complaints drain_all(Field& field, Database& database);

}  // namespace postpone::torture

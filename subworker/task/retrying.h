// Whether a job may have another attempt, and how long it waits for it. Pure: chance is an argument.
//
//   attempts of a job        uncounted ones: interrupted by us; what the handler said; the program did not fit
//                            counted ones: all others
//   may have so many         what a person has granted (`jobs retry --attempts`); else max_attempts of the task and
//                            one more; else any number
// A retry by a person makes all attempts before it uncounted ones (RetryBudget, sql/job.h).
#pragma once

#include <optional>

#include "libtask/wire/description.h"
#include "sql/job.h"

namespace postpone::subworker {

// The counted attempts before the one that has just ended.
int counted_attempts(const sql::Job& job);

// May the job, whose attempt has just failed, have another one?
bool has_attempts_left(const sql::Job& job, const std::optional<libtask::wire::RetryStrategy>& strategy);

// How long it waits for that. `attempts` counts those before the one that has just failed. The rule is
// Procrastinate's, with a bound and with jitter: see libtask::wire::RetryStrategy. `chance` lies in [0, 1). Waits
// longer than a year are cut to one.
sql::Seconds retry_wait(const libtask::wire::RetryStrategy& strategy, int attempts, double chance = 0.5);

// How long a job waits that its program does not fit: it does not have the task, or the handler cannot use the
// arguments. So many attempts in a row, this one not included, have ended so. 10 s, twice as long each time, give
// or take a quarter; nothing after five of them, which takes about five minutes.
std::optional<sql::Seconds> misfit_wait(int misfits, double chance);

}  // namespace postpone::subworker

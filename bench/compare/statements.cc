#include "bench/compare/statements.h"

namespace postpone::bench {
namespace {

std::string task(int ms) {
  return ms == 0 ? "'misbehave.noop'" : "'misbehave.journal'";
}
std::string arguments(int ms) {
  return ms == 0 ? "'{}'" : "'{\"file\": \"/dev/null\", \"ms\": " + std::to_string(ms) + "}'";
}

}  // namespace

std::string defer_all(const Load& load) {
  // A choice for each job, `i` being its number.
  const auto either = [&](auto make) {
    if (load.long_every == 0) return make(load.ms);
    return "CASE WHEN i % " + std::to_string(load.long_every) + " = 0 THEN " + make(load.long_ms) + " ELSE " +
           make(load.ms) + " END";
  };
  return "SELECT cardinality(procrastinate_defer_jobs_v1(ARRAY(SELECT ROW('m', " + either(task) + ", 0, " +
         (load.own_locks ? "'lock ' || i" : "NULL") + ", NULL, " + either(arguments) +
         ", NULL)::procrastinate_job_to_defer_v1 FROM generate_series(1, " + std::to_string(load.jobs) +
         ") i)))";
}

std::string defer_one(const Load& load) {
  return "SELECT postpone_defer(" + task(load.ms) + ", " + arguments(load.ms) + ", queue => 'm')";
}

std::string work_off_in_sets(int set_size) {
  return R"(DO $$
DECLARE
    worker bigint := postpone_register_worker('bench', 'bench', 'bench/0', 1);
    outcomes jsonb;
BEGIN
    LOOP
        SELECT jsonb_agg(jsonb_build_object('job_id', id, 'attempt', postpone_next_attempt(attempts),
                                            'action', 'succeed', 'cause', 'succeeded', 'run_time', 0.00001,
                                            'cpu_time', 0.00001, 'max_rss', 4194304))
        INTO outcomes FROM postpone_fetch_jobs(ARRAY['m'], worker, )" +
         std::to_string(set_size) + R"();
        COMMIT;
        EXIT WHEN outcomes IS NULL;
        PERFORM FROM postpone_finish_jobs(worker, outcomes);
    END LOOP;
END
$$)";
}

}  // namespace postpone::bench

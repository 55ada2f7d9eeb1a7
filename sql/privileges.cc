#include "sql/privileges.h"

#include "sql/connection.h"

namespace postpone::sql {
namespace {

// Which of the privileges that roles.sql gives to postpone_worker the login lacks; it may have got them in
// any way. A privilege on some columns counts as the whole, because no one grants a part of a table by
// accident. Without USAGE on the schema the login finds no table in it.
constexpr const char* kLacking = R"(
WITH place AS (
    SELECT relnamespace AS here, coalesce(oid = to_regclass('procrastinate_jobs'), false) AS visible
    FROM pg_class
    WHERE relname = 'procrastinate_jobs' AND relkind IN ('r', 'p')
    ORDER BY 2 DESC
    LIMIT 1
), needed (relation, privilege) AS (
    VALUES ('procrastinate_jobs', 'SELECT'), ('procrastinate_jobs', 'INSERT'), ('procrastinate_jobs', 'UPDATE'),
           ('procrastinate_jobs', 'DELETE'), ('procrastinate_events', 'SELECT'), ('procrastinate_events', 'INSERT'),
           ('procrastinate_workers', 'SELECT'), ('procrastinate_workers', 'INSERT'),
           ('procrastinate_workers', 'UPDATE'), ('procrastinate_workers', 'DELETE'),
           ('procrastinate_periodic_defers', 'SELECT'), ('procrastinate_periodic_defers', 'INSERT'),
           ('procrastinate_periodic_defers', 'UPDATE'), ('procrastinate_periodic_defers', 'DELETE'),
           ('postpone_attempts', 'SELECT'), ('postpone_attempts', 'INSERT'), ('postpone_attempts', 'UPDATE'),
           ('postpone_workers', 'SELECT'), ('postpone_workers', 'INSERT'), ('postpone_migrations', 'SELECT'),
           ('postpone_claims', 'SELECT'), ('postpone_claims', 'INSERT'), ('postpone_claims', 'DELETE'),
           ('postpone_noted_locks', 'SELECT'), ('postpone_noted_locks', 'UPDATE'), ('postpone_noted_locks', 'DELETE'),
           ('postpone_schedules', 'SELECT'), ('postpone_schedules', 'INSERT'), ('postpone_schedules', 'UPDATE'),
           ('postpone_schedules', 'DELETE'),
           ('postpone_results', 'SELECT'), ('postpone_results', 'INSERT'), ('postpone_results', 'UPDATE')
), lacking (rank, what) AS (
    SELECT 0, 'USAGE on schema ' || here::regnamespace::text
    FROM place
    WHERE NOT visible AND NOT has_schema_privilege(here, 'USAGE')
    UNION ALL
    SELECT 1, privilege || ' on ' || relation
    FROM place CROSS JOIN needed JOIN pg_class ON relnamespace = here AND relname = relation
    WHERE visible AND NOT CASE privilege WHEN 'DELETE' THEN has_table_privilege(pg_class.oid, privilege)
                                         ELSE has_any_column_privilege(pg_class.oid, privilege) END
    UNION ALL
    SELECT 2, 'USAGE on sequence ' || sequence.relname
    FROM place
    JOIN pg_class AS owner ON owner.relnamespace = here
        AND owner.relname IN ('procrastinate_jobs', 'procrastinate_events', 'procrastinate_periodic_defers')
    JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = owner.oid AND deptype = 'a'
        AND classid = 'pg_class'::regclass
    JOIN pg_class AS sequence ON sequence.oid = objid
    -- In this order: the planner would ask a type for the privileges of a sequence.
    WHERE CASE WHEN visible AND sequence.relkind = 'S' THEN NOT has_sequence_privilege(sequence.oid, 'USAGE')
                                                            AND NOT has_sequence_privilege(sequence.oid, 'UPDATE') END
    UNION ALL
    SELECT 3, 'EXECUTE on function ' || proname
    FROM place JOIN pg_proc ON pronamespace = here
    WHERE visible AND proname ~ '^(procrastinate|postpone)_' AND NOT has_function_privilege(pg_proc.oid, 'EXECUTE')
)
SELECT current_user::text,
       array_to_string((array_agg(what ORDER BY rank, what))[1:3], ', ')
           || CASE WHEN count(*) > 3 THEN ' and ' || count(*) - 3 || ' more' ELSE '' END,
       coalesce((SELECT has_table_privilege(role.oid, pg_class.oid, 'INSERT')
                 FROM pg_roles AS role CROSS JOIN place
                 JOIN pg_class ON relnamespace = here AND relname = 'procrastinate_jobs'
                 WHERE role.rolname = 'postpone_worker'), false)
FROM lacking
HAVING count(*) > 0
)";

std::string quoted(const std::string& identifier) {
  std::string text = "\"";
  for (const char c : identifier) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

}  // namespace

std::string lacking_privileges(const ConnectOptions& options) {
  Connection connection(options);
  const Result result = connection.query(kLacking);
  if (result.empty()) return "";
  const Row row = result.row(0);
  const auto role = quoted(row.get<std::string>(0));
  const bool role_is_made = row.get<bool>(2);
  return "the role " + role + " may not run jobs, it lacks " + row.get<std::string>(1) + "; " +
         (role_is_made ? "" : "run: postpone schema roles; then ") +
         "type in psql, as the owner of the tables: GRANT postpone_worker TO " + role;
}

void try_connection(const ConnectOptions& options) {
  const Connection connection(options);
}

}  // namespace postpone::sql

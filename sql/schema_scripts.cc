#include "sql/schema_scripts.h"

#include "sql/embedded.h"
#include "sql/functions.h"

namespace postpone::sql {
namespace {

// How the scripts for psql begin.
std::string begin_script() {
  std::string script;
  for (const std::string& statement : begin_to_change()) script += statement + ";\n";
  return script + std::string(kSettings) + ";\n" + work_there() + ";\n";
}

// A script that was kept from an older program must not put old functions into a newer schema.
std::string refuse_newer_schema() {
  const std::string version = std::to_string(migrations().back().version);
  return R"(DO $$
BEGIN
    IF to_regclass('postpone_migrations') IS NOT NULL THEN
        IF EXISTS (SELECT FROM postpone_migrations WHERE version > )" +
         version + R"() THEN
            RAISE EXCEPTION 'schema % is newer than this script, which is of version )" +
         version + R"(', current_schema();
        END IF;
    END IF;
END
$$;
)";
}

}  // namespace

std::string work_there() {
  return "SELECT set_config('search_path', concat_ws(', ', quote_ident(" + std::string(kSchemaInPath) +
         "), nullif(current_setting('search_path'), '')), true)";
}

const std::vector<std::string>& begin_to_change() {
  static const std::vector<std::string> kStatements = {
      "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE",
      "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)",
      "SELECT pg_advisory_xact_lock(8101821198602563173)"};
  return kStatements;
}

std::string record(const std::vector<Migration>& applied) {
  std::string script;
  for (const Migration& migration : applied) {
    script += "INSERT INTO postpone_migrations (version, name, oldest_program) VALUES (" +
              std::to_string(migration.version) + ", '" + migration.name + "', " +
              std::to_string(migration.oldest_program) + ") ON CONFLICT DO NOTHING;\n";
  }
  return script;
}

std::string roles_script() {
  return begin_script() + '\n' + std::string(roles()) + "\nCOMMIT;\n";
}

std::string schema_script() {
  std::string script = begin_script() + refuse_newer_schema();
  for (const Migration& migration : migrations()) script += "\n-- " + migration.name + "\n" + migration.sql;
  script += record(migrations()) + "\n-- functions\n" + put_functions();
  return script + '\n' + std::string(privileges()) + "\nCOMMIT;\n";
}

}  // namespace postpone::sql

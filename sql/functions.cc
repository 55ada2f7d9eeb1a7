#include "sql/functions.h"

#include <algorithm>
#include <map>
#include <regex>

#include "sql/embedded.h"
#include "sql/schema.h"

namespace postpone::sql {
namespace {

constexpr std::string_view kSchema = "{schema}";

// One function, as the server has it in pg_proc.
struct Function {
  std::string facts;  // "plpgsql stable jit=off enable_seqscan=off"
  std::string body;
};

using Functions = std::multimap<std::string, Function, std::less<>>;

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

std::string doubled(std::string text, char quote) {
  replace_all(text, std::string(1, quote), std::string(2, quote));
  return text;
}

// As put_functions() does it in the database.
std::string with_schema(std::string text, const std::string& schema) {
  const std::string identifier = '"' + doubled(schema, '"') + '"';
  replace_all(text, "'" + std::string(kSchema), "'" + doubled(identifier, '\''));
  replace_all(text, kSchema, identifier);
  return text;
}

// What stands between the results of a function and its body: LANGUAGE plpgsql STABLE SET jit = off AS.
std::string facts_of(const std::string& clauses) {
  static const std::regex kLanguage("LANGUAGE (\\w+)");
  static const std::regex kVolatility("\\b(IMMUTABLE|STABLE)\\b");
  static const std::regex kSetting("\\bSET (\\w+) = '?(\\w+(?:, \\w+)*)");
  std::smatch match;
  std::string facts;
  if (std::regex_search(clauses, match, kLanguage)) facts = match[1];
  facts += !std::regex_search(clauses, match, kVolatility) ? " volatile"
           : match[1] == "STABLE"                          ? " stable"
                                                           : " immutable";
  for (std::sregex_iterator setting(clauses.begin(), clauses.end(), kSetting), end; setting != end; ++setting)
    facts += ' ' + setting->str(1) + '=' + setting->str(2);
  if (clauses.find("SECURITY DEFINER") != std::string::npos) facts += " security definer";
  if (clauses.find("STRICT") != std::string::npos) facts += " strict";
  return facts;
}

// The files of sql/functions/ keep to one form: CREATE OR REPLACE FUNCTION {schema}.NAME( … LANGUAGE … AS $$
// … $$.
Functions functions_of_program(const std::string& schema) {
  constexpr std::string_view kBegin = "\nCREATE OR REPLACE FUNCTION {schema}.";
  constexpr std::string_view kQuote = "$$";
  const std::string_view all = sql::functions();
  Functions functions;
  for (std::size_t at = 0; (at = all.find(kBegin, at)) != std::string_view::npos;) {
    const std::size_t name = at + kBegin.size();
    const std::size_t clauses = all.find("\nLANGUAGE ", name);
    const std::size_t body = all.find(kQuote, clauses) + kQuote.size();
    at = all.find(kQuote, body);
    functions.emplace(all.substr(name, all.find('(', name) - name),
                      Function{facts_of(std::string(all.substr(clauses, body - clauses))),
                               with_schema(std::string(all.substr(body, at - body)), schema)});
  }
  return functions;
}

Functions functions_in(Connection& connection, const std::string& schema) {
  const Result result = connection.query(
      "SELECT proname, concat_ws(' ', lanname, CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN "
      "'stable'"
      " ELSE 'volatile' END, array_to_string(proconfig, ' '), CASE WHEN prosecdef THEN 'security definer' || "
      // With the rights of a stranger, or of more than the owner of the tables.
      "CASE WHEN proowner <> tables.owner AND (rolsuper OR NOT pg_has_role(proowner, tables.owner, 'USAGE'))"
      " THEN ' of another owner' ELSE '' END END,"
      " CASE WHEN proisstrict THEN 'strict' END), prosrc"
      " FROM pg_proc JOIN pg_language ON pg_language.oid = prolang JOIN pg_roles ON pg_roles.oid = proowner,"
      " (SELECT relowner FROM pg_class WHERE oid = to_regclass('procrastinate_jobs')) AS tables (owner)"
      " WHERE pronamespace = quote_ident($1)::regnamespace AND proname ~ '^(procrastinate|postpone)_'",
      {schema});
  Functions functions;
  for (const Row row : result) {
    functions.emplace(row.get<std::string>(0), Function{row.get<std::string>(1), row.get<std::string>(2)});
  }
  return functions;
}

bool is_among(const Functions& functions, const std::string& name, const Function& wanted) {
  const auto [first, last] = functions.equal_range(name);
  return std::any_of(first, last, [&](const auto& entry) {
    return entry.second.facts == wanted.facts && entry.second.body == wanted.body;
  });
}

// What put_functions() noted: "functions of version 7: postpone_defer postpone_fetch_jobs …".
std::vector<std::string> recorded_functions(Connection& connection) {
  std::vector<std::string> names;
  for (const Row row :
       connection.query("SELECT name FROM unnest(string_to_array(split_part(obj_description("
                        "'postpone_migrations'::regclass, 'pg_class'), ': ', 2), ' ')) AS name")) {
    names.push_back(row.get<std::string>(0));
  }
  return names;
}

std::string schema_named_in(const Functions& installed) {
  static const std::regex kTable("\"((?:[^\"]|\"\")+)\"\\.procrastinate_events");
  const auto found = installed.find("postpone_jobs_inserted");
  std::smatch match;
  if (found == installed.end() || !std::regex_search(found->second.body, match, kTable)) return "";
  std::string name = match[1];
  replace_all(name, "\"\"", "\"");
  return name;
}

std::string names_of(const Functions& functions) {
  std::string names;
  for (const auto& [name, function] : functions) names += (names.empty() ? "" : " ") + name;
  return names;
}

}  // namespace

FunctionFaults faults_of_functions(Connection& connection, const std::string& schema) {
  const Functions expected = functions_of_program(schema);
  const Functions installed = functions_in(connection, schema);
  FunctionFaults faults;
  for (const auto& [name, function] : expected) {
    if (installed.contains(name) && !is_among(installed, name, function))
      faults.differing.push_back("function " + name);
  }
  for (const std::string& name : recorded_functions(connection)) {
    if (installed.contains(name) && !expected.contains(name)) faults.surplus.push_back("function " + name);
  }
  if (const std::string named = schema_named_in(installed); named != schema) faults.moved_from = named;
  return faults;
}

std::string put_functions() {
  const std::string names = names_of(functions_of_program(""));
  return R"sql(DO $put$
DECLARE
    here text := '"' || replace(current_schema(), '"', '""') || '"';
    -- What an apply of another program has put here, and this one does not have.
    surplus text[] := ARRAY(
        SELECT name
        FROM unnest(string_to_array(split_part(
            obj_description('postpone_migrations'::regclass, 'pg_class'), ': ', 2), ' ')) AS name
        WHERE name <> ALL (string_to_array(')sql" +
         names + R"sql(', ' ')));
    surplus_object text;
BEGIN
    FOR surplus_object IN
        SELECT format('TRIGGER %I ON %s', tgname, tgrelid::regclass)
        FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
        WHERE NOT tgisinternal AND pronamespace = quote_ident(current_schema())::regnamespace AND proname = ANY (surplus)
        UNION ALL
        SELECT 'FUNCTION ' || oid::regprocedure
        FROM pg_proc
        WHERE pronamespace = quote_ident(current_schema())::regnamespace AND proname = ANY (surplus)
    LOOP
        EXECUTE 'DROP ' || surplus_object;
    END LOOP;

    -- {schema} becomes the quoted name of the schema, also where it stands in a literal.
    EXECUTE replace(replace($functions$)sql" +
         std::string(sql::functions()) +
         R"sql($functions$,
        '''{schema}', '''' || replace(here, '''', '''''')), '{schema}', here);
    COMMENT ON TABLE postpone_migrations IS 'functions of version )sql" +
         std::to_string(migrations().back().version) + ": " + names + R"sql(';
END
$put$;
)sql";
}

}  // namespace postpone::sql

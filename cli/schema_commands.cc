// postpone schema apply | check | show | roles
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/connect.h"
#include "cli/options/parser.h"
#include "cli/text/text.h"
#include "sql/schema.h"

namespace postpone::cli {
namespace {

// What cannot be used as it is has an exit code of its own, whichever command finds it.
template <class Work>
auto as_schema_failure(Work work) {
  try {
    return work();
  } catch (const sql::SchemaUnfit& unfit) {
    throw Failure(ExitCode::schema, unfit.what());
  }
}

// After a first connection has shown that the url makes sense and the server lets us in: what goes wrong from
// here on is the schema's.
sql::ConnectOptions reachable(const Invocation& invocation) {
  connect(invocation);
  return connect_options(invocation);
}

ExitCode apply(const Invocation& invocation) {
  const sql::ConnectOptions options = reachable(invocation);
  const std::vector<std::string> applied = as_schema_failure([&] { return sql::apply_schema(options); });
  for (const std::string& migration : applied) std::cout << "applied " << migration << '\n';
  const sql::SchemaReport report = sql::check_schema(options);
  if (report.state == sql::SchemaReport::State::newer_but_open) {
    std::cout << "left as it is: version " << report.installed_version
              << " is installed, newer than this program's " << report.current_version
              << ", which may run on it\n";
  } else if (applied.empty()) {
    std::cout << "nothing to do: version " << report.installed_version << " is installed\n";
  }
  std::cout << "database " << printable(report.where) << ", schema " << printable(report.schema) << '\n';
  return ExitCode::done;
}

const char* describe(sql::SchemaReport::State state) {
  using State = sql::SchemaReport::State;
  switch (state) {
    case State::absent:
      return "absent";
    case State::adoptable:
      return "Procrastinate's, without Postpone's";
    case State::outdated:
      return "outdated";
    case State::current:
      return "current";
    case State::newer:
      return "newer than this program";
    case State::newer_but_open:
      return "newer than this program, which may run on it";
    case State::damaged:
      return "damaged";
    case State::wrong_encoding:
      return "in a database that is not UTF8";
  }
  return "";
}

// "postpone_client, postpone_worker"; where only some are in use, what to do about the others.
std::string roles_of(const sql::SchemaReport& report) {
  if (report.roles.empty()) return "none of Postpone's (postpone schema roles makes them)";
  std::string text;
  for (const std::string& role : report.roles) text += (text.empty() ? "" : ", ") + role;
  if (report.roles.size() < sql::kRoles.size()) text += "; run postpone schema roles for the others";
  return text;
}

ExitCode check(const Invocation& invocation) {
  const sql::ConnectOptions options = reachable(invocation);
  const sql::SchemaReport report = as_schema_failure([&] { return sql::check_schema(options); });
  std::cout << "state      " << describe(report.state) << '\n'
            << "installed  version " << report.installed_version << " of " << report.current_version
            << " in schema " << report.schema << ", PostgreSQL " << report.server_version << '\n'
            << "database   " << printable(report.where) << '\n';
  for (const std::string& object : report.missing) std::cout << "missing    " << object << '\n';
  for (const std::string& object : report.differing) std::cout << "differs    " << object << '\n';
  for (const std::string& object : report.surplus) std::cout << "surplus    " << object << '\n';
  std::cout << "roles      " << roles_of(report) << '\n';
  if (const std::string wrong = sql::explain(report); !wrong.empty()) throw Failure(ExitCode::schema, wrong);
  return ExitCode::done;
}

ExitCode make_roles(const Invocation& invocation, bool print_only) {
  if (print_only) {
    std::cout << sql::roles_script();
    return ExitCode::done;
  }
  const sql::ConnectOptions options = reachable(invocation);
  const sql::SchemaReport report = as_schema_failure([&] { return sql::apply_roles(options); });
  std::cout << "postpone_worker, postpone_client, postpone_operator and postpone_monitor have what they need "
               "in schema "
            << report.schema << " of database " << printable(report.where)
            << "; grant them to those who log in\n";
  return ExitCode::done;
}

ExitCode show_schema() {
  std::cout << sql::schema_script();
  return ExitCode::done;
}

}  // namespace

void add_schema_commands(Command& app, Invocation& invocation) {
  Command* schema = app.add_subcommand("schema", "Postpone's tables and functions in the database");
  schema->require_subcommand(1);
  schema
      ->add_subcommand(
          "apply",
          "Install the schema, or bring it to this program's version; adopts what Procrastinate 3.x "
          "installed; safe to repeat")
      ->final_callback([&] { invocation.run = [&] { return apply(invocation); }; });
  schema
      ->add_subcommand("check",
                       "Show what is installed, what is missing and what differs; exit code 5 unless this "
                       "program can run on it")
      ->final_callback([&] { invocation.run = [&] { return check(invocation); }; });
  Command* roles = schema->add_subcommand(
      "roles",
      "Make the roles postpone_worker, postpone_client, postpone_operator and postpone_monitor, with as "
      "little as they need here; safe to repeat");
  const auto print = std::make_shared<bool>(false);
  roles->add_flag("--show", *print, "Only print the SQL, for psql; needs no database");
  roles->final_callback([&invocation, print] {
    invocation.run = [&invocation, print] { return make_roles(invocation, *print); };
  });
  schema->add_subcommand("show", "Print the schema's SQL, for psql; needs no database")->final_callback([&] {
    invocation.run = show_schema;
  });
}

}  // namespace postpone::cli

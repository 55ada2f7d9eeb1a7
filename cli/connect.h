// How the commands find the database and connect to it, and what its errors mean for the command.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"
#include "config/config.h"
#include "sql/bulk_changes.h"
#include "sql/job_manager.h"
#include "sql/overview.h"

namespace postpone::cli {

// The database that the caller named: --database-url, else [database].url of --config, if that file has one,
// else POSTPONE_DATABASE_URL, else libpq's own defaults. The command line goes before the environment.
// Throws Failure (configuration) when the file is needed and wrong.
sql::ConnectOptions connect_options(const Invocation& invocation);

// The file that --config names; nothing without that option. Throws Failure (configuration) when the file is
// wrong.
std::optional<config::Config> configuration(const Invocation& invocation);

// Each of these connects, for one purpose: one job at a time, reading many, changing many. Throws Failure
// (configuration) when the url is not valid, DatabaseError when the server cannot be reached.
sql::JobManager connect(const Invocation& invocation);
sql::Overview connect_overview(const Invocation& invocation);
sql::BulkChanges connect_bulk_changes(const Invocation& invocation);
// As connect(), for a command that changes something: names the database on a terminal.
sql::JobManager connect_to_change(const Invocation& invocation);

// Prints the name of the database on standard error, if that is a terminal: a person may have another
// terminal in mind, with another environment, and a script knows which database it named.
void print_database(const std::string& database);

// Throws Failure (configuration) when the error means that libpq does not understand the url.
void refuse_bad_url(const sql::DatabaseError& error);

// Whether there is no server to speak with, or the server does not let us in.
bool is_unreachable(const sql::DatabaseError& error);

// Whether the error is about the one job that the statement was for (another session has locked its row, a
// trigger refuses the change), so that the same statement may go well for the next job. Of any other error
// (the connection, the server's resources, the schema, a privilege) every further job would have its share.
bool is_about_one_job(const sql::DatabaseError& error);

// The exit code and the words with which a command ends after this error. Of a statement that the server does
// not understand the schema may be the reason: then this looks at the schema, which may throw DatabaseError.
Failure failure_of(const Invocation& invocation, const sql::DatabaseError& error);

}  // namespace postpone::cli

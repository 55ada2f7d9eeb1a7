#include "tests/support/private_server.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "tests/support/database.h"
#include "tests/support/program.h"

namespace postpone::tests {

PrivateServer::PrivateServer(std::string listen_addresses) : listen_addresses_(std::move(listen_addresses)) {
  own_directory();
  pg("initdb", "--auth=trust --username=postgres --no-sync -D " + directory_.file("data"));
  std::ofstream(directory_.file("data/pg_hba.conf"), std::ios::app) << "host all all samenet trust\n";
  start();
}

PrivateServer::PrivateServer(StandbyOf origin) {
  const std::string data = directory_.file("data");
  own_directory();
  // By the server alone: a pg_basebackup of the distribution copies no server that is newer.
  const bool is_14 = origin.primary.execute("SHOW server_version_num") < "150000";
  const std::string label = origin.primary.execute(
      std::string(is_14 ? "SELECT pg_start_backup('standby', true, false)"
                        : "SELECT pg_backup_start('standby', true)") +
      "; COPY (SELECT 1) TO PROGRAM 'cp -a \"" + origin.primary.directory_.file("data") + "\" \"" + data +
      "\"'; SELECT labelfile FROM " + (is_14 ? "pg_stop_backup(false, false)" : "pg_backup_stop(false)"));
  std::ofstream(data + "/backup_label") << label;
  std::ofstream(data + "/standby.signal").flush();
  set("primary_conninfo = 'host=" + origin.primary.directory() + " user=postgres'");
  std::filesystem::remove(data + "/postmaster.pid");
  own_directory();
  start();
}

// PostgreSQL refuses to run as root, so the directory is the user postgres's then.
void PrivateServer::own_directory() const {
  if (::geteuid() == 0) run_program({"chown", "-R", "postgres:", directory()});
}

PrivateServer::~PrivateServer() {
  try {
    stop("immediate");
  } catch (const std::exception&) {  // it was stopped already
  }
}

void PrivateServer::start() {
  start("--wait");
}

void PrivateServer::start_without_waiting() {
  start("--no-wait");
}

void PrivateServer::start(const std::string& how) {
  pg("pg_ctl", "start " + how + " --silent -D " + directory_.file("data") + " -l " + directory_.file("log") +
                   " -o \"-k " + directory_.file("") + " -c listen_addresses='" + listen_addresses_ +
                   "' -c fsync=off\"");
}

void PrivateServer::stop(const std::string& mode) {
  pg("pg_ctl", "stop --wait --silent -D " + directory_.file("data") + " -m " + mode);
}

void PrivateServer::promote() {
  pg("pg_ctl", "promote --wait --silent -D " + directory_.file("data"));
}

void PrivateServer::set(const std::string& setting) {
  std::ofstream(directory_.file("data/postgresql.conf"), std::ios::app) << setting << '\n';
}

void PrivateServer::reload() {
  pg("pg_ctl", "reload --silent -D " + directory_.file("data"));
}

std::string PrivateServer::execute(const std::string& sql) const {
  return tests::execute(url(), sql);
}

std::string PrivateServer::url() const {
  return "host=" + directory_.file("") + " user=postgres dbname=postgres";
}

void PrivateServer::pg(const std::string& program, const std::string& arguments) const {
  const std::string as_postgres =
      ::geteuid() == 0 ? "exec setpriv --reuid=postgres --regid=postgres --init-groups " : "exec ";
  const auto run = run_program(
      {"bash", "-c",
       "bin=${POSTPONE_PG_BIN:-$(ls /usr/lib/postgresql/{1[4-9],[2-9][0-9]}/bin/initdb 2> /dev/null |"
       " sort -V | tail -n 1 | xargs dirname)} && cd / && " +
           as_postgres + "$bin/" + program + " " + arguments + " > /dev/null"});
  if (run.exit_status != 0) throw std::runtime_error(program + ": " + run.errors);
}

}  // namespace postpone::tests

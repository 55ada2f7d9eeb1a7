// A PostgreSQL server of one test's own, to be stopped and started at will.
#pragma once

#include <string>

#include "tests/support/files.h"

namespace postpone::tests {

class PrivateServer {
 public:
  // Started, with an empty database. It listens on its Unix socket, and on these addresses ("*" = all) for
  // hosts of the same subnets. Throws std::runtime_error with what initdb or pg_ctl said.
  explicit PrivateServer(std::string listen_addresses = "");
  // A streaming standby of this one, started. Both listen on the same port of their own directories.
  struct StandbyOf {
    const PrivateServer& primary;
  };
  explicit PrivateServer(StandbyOf origin);
  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  void start();                          // returns when it accepts connections
  void start_without_waiting();          // returns when it was started
  void stop(const std::string& mode);    // smart, fast, immediate
  void promote();                        // a standby; returns when it takes writes
  void set(const std::string& setting);  // "max_connections = 10"; after the next start or reload()
  void reload();

  std::string directory() const { return directory_.file(""); }  // of its Unix socket, and of data/
  std::string url() const;                                       // by its Unix socket
  // As TestDatabase::execute().
  std::string execute(const std::string& sql) const;

 private:
  void own_directory() const;
  void start(const std::string& how);
  void pg(const std::string& program, const std::string& arguments) const;

  TemporaryDirectory directory_;
  std::string listen_addresses_;
};

}  // namespace postpone::tests

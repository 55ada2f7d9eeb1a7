// A PostgreSQL server of one test's own, to be stopped and started at will.
#pragma once

#include <string>

#include "tests/support/family.h"

namespace postpone::tests {

class PrivateServer {
 public:
  // Started, with an empty database. It listens on its Unix socket, and on these addresses ("*" = all) for
  // hosts of the same subnets. Throws std::runtime_error with what initdb or pg_ctl said.
  explicit PrivateServer(std::string listen_addresses = "");
  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  void start();
  void stop(const std::string& mode);  // smart, fast, immediate
  std::string url() const;             // by its Unix socket

 private:
  void pg(const std::string& program, const std::string& arguments) const;

  TemporaryDirectory directory_;
  std::string listen_addresses_;
};

}  // namespace postpone::tests

// A PostgreSQL server of one test's own, to be stopped and started at will.
#pragma once

#include <string>

#include "tests/support/family.h"

namespace postpone::tests {

class PrivateServer {
 public:
  PrivateServer();  // started, with an empty database. Throws std::runtime_error with what initdb or pg_ctl
                    // said.
  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  void start();
  void stop(const std::string& mode);  // smart, fast, immediate
  std::string url() const;

 private:
  void pg(const std::string& program, const std::string& arguments) const;

  TemporaryDirectory directory_;
};

}  // namespace postpone::tests

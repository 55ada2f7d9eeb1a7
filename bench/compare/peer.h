// Other queues on PostgreSQL: their programs in bench/peers, which npm has installed.
#pragma once

#include <string>

#include "bench/compare/contender.h"

namespace postpone::bench {

class Peer : public Contender {
 public:
  // `program`: of bench/peers, without .mjs; `package`: what npm calls it; mode: `plain` or `best`.
  Peer(About about, std::string program, std::string package, std::string mode)
      : Contender(std::move(about)),
        program_(std::move(program)),
        package_(std::move(package)),
        mode_(std::move(mode)) {}
  // On a database of its own. A peer that fails is absent, with the last line that it wrote.
  Figures measure(const Load& load) override;

 private:
  std::string program_;
  std::string package_;
  std::string mode_;
};

// The version of a package of npm that is installed; empty when it is not.
std::string version_of_package(const std::string& package);

}  // namespace postpone::bench

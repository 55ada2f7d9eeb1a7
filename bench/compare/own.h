// Postpone itself: real families, as a user starts them.
#pragma once

#include <string>

#include "bench/compare/contender.h"

namespace postpone::bench {

// A family whose group has these lines of configuration, and as many sub-workers as a load has concurrency.
class Own : public Contender {
 public:
  Own(About about, std::string group_keys)
      : Contender(std::move(about)), group_keys_(std::move(group_keys)) {}
  Figures measure(const Load& load) override;

 private:
  Figures work_off(const Load& load) const;
  Figures meet(const Load& load) const;
  Figures rest(const Load& load) const;

  std::string group_keys_;
};

}  // namespace postpone::bench

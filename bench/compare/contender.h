// Who takes part in a comparison: Postpone in one configuration, a peer in one, or a floor, the least that
// the server or the machine needs for the same.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/compare/load.h"
#include "bench/compare/result.h"

namespace postpone::bench {

// A contender is not installed, or cannot do what is asked; what() says why.
struct Absent : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Contender {
 public:
  struct About {
    std::string name;
    std::string settings;  // what is set, for people
    Kind kind = Kind::own;
    // The share of a load's jobs that it gets, so that a round of a slow contender takes no longer than
    // others'.
    double pace = 1;
  };

  explicit Contender(About about) : about_(std::move(about)) {}
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;
  virtual ~Contender() = default;

  const About& about() const { return about_; }

  // Does once what is asked. Throws Absent, or std::runtime_error for what went wrong.
  virtual Figures measure(const Load& load) = 0;

 private:
  About about_;
};

using Contenders = std::vector<std::unique_ptr<Contender>>;

// The same figures for all who measure single times: p50_ms, p90_ms, p99_ms, max_ms.
Figures figures_of_times(const std::vector<double>& milliseconds);

}  // namespace postpone::bench

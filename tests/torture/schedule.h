// What is done to the processes and the server of a torture run, and when: a pure function of the seed.
//
// The schedule is the same for the same seed and length. What comes of it is not: whom a deed meets, and in
// which instruction, is for the machine to decide. A seed repeats the pressure, not the accident.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <vector>

namespace postpone::torture {

using Milliseconds = std::chrono::milliseconds;
using Random = std::mt19937_64;

// A number from 0 to limit - 1. (The standard's distributions differ between libraries; seeds should not.)
std::uint64_t below(Random& random, std::uint64_t limit);

// One of these, each as often as its `weight` says.
template <class Kinds>
const auto& weighted(const Kinds& kinds, Random& random) {
  std::uint64_t total = 0;
  for (const auto& kind : kinds) total += kind.weight;
  std::uint64_t at = below(random, total);
  for (const auto& kind : kinds) {
    if (at < kind.weight) return kind;
    at -= kind.weight;
  }
  return kinds.back();
}

enum class Deed {
  kill_sub_worker,
  kill_task,
  kill_housekeeper,
  kill_supervisor,
  kill_family,  // everything of it in one moment, as when a host dies
  stop_sub_worker,
  stop_task,
  stop_housekeeper,
  stop_supervisor,
  stop_family,  // everything of it, tasks too, as when a virtual machine pauses
  pause_family,
  drain_family,
  terminate_backends,
  restart_server_fast,
  restart_server_immediate,
  cancel_jobs,
  abort_jobs,
  delete_lease,
};
inline constexpr int kDeeds = 18;

const char* to_string(Deed deed);

struct Step {
  Milliseconds at{0};  // since the beginning
  Deed deed = Deed::kill_task;
  int family = 0;            // which of them
  Milliseconds lasts{0};     // until it is thawed, resumed, started again
  std::uint64_t choice = 0;  // picks one of several victims

  bool operator==(const Step&) const = default;
};

// By time. REQUIRES: families > 0.
std::vector<Step> schedule(std::uint64_t seed, Milliseconds length, int families);

}  // namespace postpone::torture

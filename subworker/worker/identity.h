// What an incarnation of a sub-worker is called, and where it belongs.
#pragma once

#include <cstdint>
#include <string>

namespace postpone::subworker {

struct Identity {
  std::string supervisor;  // see sql::WorkerDescription
  std::string host;
  std::string name;  // "kitchen/3"
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::string cgroup;  // where its task processes live; empty = nowhere in particular
};

}  // namespace postpone::subworker

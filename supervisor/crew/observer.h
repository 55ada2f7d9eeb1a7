// What an onlooker of the crew gets to know: the status socket counts starts and ends, and passes them on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace postpone::supervisor {

// The member that something happens to.
struct MemberName {
  std::optional<std::uint32_t> slot;  // nothing = the housekeeper
  std::string name;                   // for people
};

class CrewObserver {
 public:
  virtual void on_started(const MemberName& member, pid_t pid) = 0;
  virtual void on_ready(const MemberName& member) = 0;
  virtual void on_ended(const MemberName& member, bool well, const std::string& how) = 0;
  // The slot, which no process owns, is about to serve another group than `former`. The caller clears the
  // slot's counts on the board behind this call.
  virtual void on_reassigned(std::uint32_t slot, const std::string& former) = 0;

 protected:
  ~CrewObserver() = default;
};

}  // namespace postpone::supervisor

// Hosts that can be cut off: network namespaces, each with a cable of its own to the one where a server is.
// Files, processes and clocks are the same for all of them, so what they write into one journal can be
// compared.
//
// The namespaces have no names. They, and the cables with them, end with the last process and descriptor in
// them, however the test ends: nothing has to be cleaned up.
#pragma once

#include <string>

#include "sys/fd.h"

namespace postpone::tests {

class NetworkNamespace {
 public:
  NetworkNamespace();  // empty but for `lo`. Throws std::system_error: it takes privileges

  int fd() const { return fd_.get(); }
  // Where other processes find it while this object lives.
  std::string path() const;

 private:
  sys::Fd fd_;
};

// While it lives, this thread is there, and so is every process that it starts.
class Inside {
 public:
  explicit Inside(const NetworkNamespace& where);
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside();

 private:
  sys::Fd home_;
};

// A host on a cable to `hub`. Each `number` (1 to 254) of a hub may be used once.
class Host {
 public:
  Host(const NetworkNamespace& hub, int number);

  const NetworkNamespace& network() const { return network_; }
  // The hub as seen from here.
  std::string address_of_hub() const { return address(1); }

  // Packets of both directions are lost. Whoever has the end that goes down is told, the other side is not.
  enum class End { hub, host };
  void cut(End end = End::hub) const { set(end, "down"); }
  void mend(End end = End::hub) const { set(end, "up"); }
  // Nothing that the hub sends arrives any more; what it is sent does.
  void deafen() const;
  void hear_again() const;

 private:
  std::string address(int last) const;
  void set(End end, const std::string& state) const;

  const NetworkNamespace& hub_;
  int number_;
  std::string cable_;  // its end at the hub
  NetworkNamespace network_;
};

// Why hosts cannot be made here; empty when they can.
std::string why_no_hosts();

}  // namespace postpone::tests

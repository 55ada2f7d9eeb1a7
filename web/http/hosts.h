// Which names a request may call this server by.
//
// A page of a stranger can make its own name resolve to 127.0.0.1 and then read, as its own, what this server
// answers (DNS rebinding). The browser still sends the stranger's name in the Host header, so a name that is not
// ours is refused. No browser reaches a Unix socket: there the proxy in front decides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postpone::web {

class Hosts {
 public:
  // Localhost, 127.0.0.0/8 and ::1, and `names` beside them.
  static Hosts loopback_and(std::vector<std::string> names);
  static Hosts any();

  // `header`: a name or an address, with or without a port; empty where the request has none.
  bool allow(std::string_view header) const;

 private:
  bool any_ = false;
  std::vector<std::string> names_;  // in lower case
};

}  // namespace postpone::web

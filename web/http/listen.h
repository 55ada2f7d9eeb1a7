// Where the server listens.
#pragma once

#include <stdexcept>
#include <string>

#include "sys/fd.h"

namespace postpone::web {

// What --listen says: an address of this host, with a port, or the path of a Unix socket.
struct Address {
  std::string path;  // of a Unix socket; empty = TCP
  std::string host;  // digits: 127.0.0.1, ::1
  std::string port;

  bool is_unix() const { return !path.empty(); }
  bool is_loopback() const;
};

// One line that says what is wrong, and what to do.
class ListenError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:8080"; what has a slash is a path. Throws ListenError.
Address parse_address(const std::string& text);

// A socket that listens. At a path that no program listens on any more, what is left there is removed. Throws
// ListenError.
class Listener {
 public:
  explicit Listener(Address address);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int fd() const { return socket_.get(); }
  const Address& address() const { return address_; }
  // As people type it: "http://127.0.0.1:8080/", with the port that the kernel chose for port 0.
  std::string url() const;

 private:
  void open_unix();
  void open_tcp();

  Address address_;
  sys::Fd socket_;
};

}  // namespace postpone::web

// A TCP port that leads to a server's Unix socket, and may turn into a hole in which words disappear.
#pragma once

#include <memory>
#include <string>

namespace postpone::tests {

// Each connection is passed on in both directions, until one side closes it. What was swallowed once stays
// swallowed: a connection that lost something passes nothing any more, and its server's end stays open as
// long as the proxy lives, as it does when a network has gone.
class TcpProxy {
 public:
  // To the server's socket "<directory>/.s.PGSQL.<port>". Throws std::system_error.
  TcpProxy(const std::string& directory, const std::string& port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const;  // of 127.0.0.1

  // From now on: every connection, and every new one, is accepted and passes nothing.
  void swallow_everything();
  // Connections made from now on pass everything again.
  void heal();
  // The next connection whose client says these words: they are passed on, and no answer comes back, to these
  // or to anything else. The others are not touched.
  void swallow_answers_to(const std::string& words);
  // Whether that has happened.
  bool has_swallowed_answer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postpone::tests

// A postpone-web of a test's own, and a client that asks it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "sys/process.h"
#include "tests/integration/status_client.h"
#include "tests/support/database.h"
#include "tests/support/eventually.h"
#include "tests/support/files.h"

namespace postpone::tests {

struct WebAnswer {
  int status = 0;
  std::string header;
  std::string body;
};

inline WebAnswer parse_answer(const std::string& text) {
  const std::size_t end = text.find("\r\n\r\n");
  if (text.size() < 12 || end == std::string::npos) return {};
  return {std::atoi(text.substr(9, 3).c_str()), text.substr(0, end), text.substr(end + 4)};
}

// Listens at a Unix socket in a directory of its own, unless the arguments say otherwise.
class WebProgram {
 public:
  explicit WebProgram(const std::string& url, std::vector<std::string> arguments = {}) {
    sys::ProcessSpec spec;
    spec.executable = POSTPONE_WEB;
    spec.arguments = {"--listen", path()};
    for (std::string& argument : arguments) spec.arguments.push_back(std::move(argument));
    spec.environment = {{"POSTPONE_DATABASE_URL", url}, {"PATH", "/usr/bin:/bin"}};
    spec.parent_death_signal = SIGKILL;
    program_ = sys::Process::spawn(spec);
    EXPECT_TRUE(eventually([&] { return answers(); })) << "postpone-web does not listen";
  }

  std::string path() const { return directory_.file("web.sock"); }
  sys::Process& program() { return program_; }

  // What is sent is a whole request.
  WebAnswer exchange(const std::string& request) const {
    Client client(path());
    client.send(request);
    return parse_answer(client.read());
  }
  WebAnswer get(const std::string& target, const std::string& more_header = "") const {
    return exchange("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + more_header +
                    "\r\n");
  }

 private:
  bool answers() const {
    try {
      return Client(path()).send("");
    } catch (const std::exception&) {
      return false;
    }
  }

  TemporaryDirectory directory_;
  sys::Process program_;
};

inline const std::vector<std::string>& web_pages() {
  static const std::vector<std::string> all = {"/",      "/jobs",  "/failures",  "/queues",
                                               "/tasks", "/locks", "/schedules", "/workers"};
  return all;
}

}  // namespace postpone::tests

// A client of a supervisor's status socket.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace postpone::cli {

// The socket of that name, else [status] socket of the configuration file; nothing when neither is given, or
// the file names none. Throws Failure when the file is wrong.
std::optional<std::string> find_status_socket(const std::string& socket, const std::string& config_file);
// Likewise, but throws Failure where that finds nothing.
std::string status_socket(const std::string& socket, const std::string& config_file);

struct StatusAnswer {
  int status = 0;      // of HTTP
  std::string reason;  // likewise: "200 OK"
  std::string body;
};

// What ask_status() throws when it is interrupted.
struct Interrupted {};

// The answer to GET `target`. Throws Failure: unreachable when nobody listens there, no answer comes within
// the time, or not the whole of it. `interrupted` is asked every 50 ms while there is none: true =
// Interrupted is thrown.
StatusAnswer ask_status(const std::string& socket, const std::string& target,
                        std::chrono::milliseconds timeout = std::chrono::seconds(5),
                        const std::function<bool()>& interrupted = {});

// The body of such an answer. Throws Failure also when there is no such page.
std::string get(const std::string& socket, const std::string& target,
                const std::function<bool()>& interrupted = {});

}  // namespace postpone::cli

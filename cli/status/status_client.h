// A client of a supervisor's status socket.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace postpone::cli {

// The path of the socket: `socket`, else [status] socket of the configuration file; nothing when neither is
// given, or the file names none. Throws Failure when the file is wrong.
std::optional<std::string> find_status_socket(const std::string& socket, const std::string& config_file);
// The same, but throws Failure where find_status_socket() finds nothing.
std::string status_socket(const std::string& socket, const std::string& config_file);

struct StatusAnswer {
  int status = 0;      // the HTTP status code: 200
  std::string reason;  // the code with its words: "200 OK"
  std::string body;
};

// Thrown when `interrupted` says so.
struct Interrupted {};

// The answer to GET `target`. Throws Failure (unreachable) when no supervisor listens there, or the whole
// answer does not come in time. Calls `interrupted` every 50 ms while it waits, and throws Interrupted when
// that returns true.
StatusAnswer ask_status(const std::string& socket, const std::string& target,
                        std::chrono::milliseconds timeout = std::chrono::seconds(5),
                        const std::function<bool()>& interrupted = {});

// The body of /status, as it is. Throws Failure also when the answer is an error.
std::string fetch_status_text(const std::string& socket, const std::function<bool()>& interrupted = {});
// The body of /status. Throws Failure also when it has a form that this program does not know.
nlohmann::json fetch_status(const std::string& socket, const std::function<bool()>& interrupted = {});

}  // namespace postpone::cli

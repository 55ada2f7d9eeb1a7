// What the fragments of C++ in the documents take for granted: the program around them.
#pragma once

#include <libtask/json.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

struct NetworkError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct DatabaseGone : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void register_mail(libtask::Namespace) {}
inline void wash(const std::string&, int) {}

// What handlers use.
struct Database {
  explicit Database(const std::string&) {}
};
struct Metrics {
  void ran(const std::string&, std::chrono::steady_clock::duration) {}
};
struct Response {
  int status = 429;
  std::chrono::seconds retry_after{30};
};
struct Transcoder {
  void cancel() {}
};
inline const std::string conninfo;
inline Metrics metrics;
inline const Response response;
inline Transcoder transcoder;
inline const std::chrono::system_clock::time_point opening;
inline bool closed_until(std::chrono::system_clock::time_point) {
  return false;
}
inline std::mutex mutex;
inline std::condition_variable_any arrived;
inline const std::vector<std::string> mails;
inline const std::string host = "example.org";
inline const std::string customer = "ann";
inline void charge(const std::string&) {}

inline constexpr auto send_mail = libtask::declare<std::string, std::size_t>("mail.send", "to", "pages");
inline const std::size_t pages = 3;
inline const std::string who = "ann";
inline const std::string file = "report.pdf";
inline void build_page(std::size_t) {}
inline void thumbnail(const std::string&) {}

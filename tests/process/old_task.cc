// A task executable of protocol version 1, which knows neither sets nor a ledger: a job of it succeeds.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

#include "libtask/wire/frame.h"

namespace {

namespace wire = libtask::wire;

constexpr const char* kDescription =
    R"({"libtask_version": "0.0.9", "protocol_version": 1, "periodic": [],)"
    R"( "tasks": [{"name": "old.task", "queue": "q", "priority": 0, "lock": null, "queueing_lock": null,)"
    R"( "time_limit_ms": 0, "retry": null}]})";

void say(const wire::Frame& frame) {
  const std::string bytes = wire::encode(frame, 1);
  if (send(wire::kChannelFd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) _exit(1);
}

}  // namespace

int main() {
  say(wire::Hello{.protocol_version = 1, .libtask_version = "0.0.9", .description = kDescription});
  wire::Decoder decoder;
  decoder.set_version(1);
  std::array<char, 4096> bytes;
  for (ssize_t n = 0; (n = read(wire::kChannelFd, bytes.data(), bytes.size())) > 0;) {
    decoder.append({bytes.data(), static_cast<std::size_t>(n)});
    while (const auto frame = decoder.next()) {
      if (const auto* run = std::get_if<wire::Run>(&*frame)) {
        if (!run->meta.empty()) return 1;  // more bytes than it can read
        say(wire::Result{.job_id = run->job_id});
      }
      if (std::holds_alternative<wire::Runs>(*frame)) return 1;  // a frame of an unknown type
    }
  }
  return 0;
}

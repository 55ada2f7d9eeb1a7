#include "supervisor/service_notifier.h"

#include <ctime>
#include <utility>

namespace postpone::supervisor {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr auto kAskForPatience = 10s;  // so often
constexpr auto kPatience = 60s;        // and for so long each time
constexpr auto kStopMargin = 10s;      // for the end itself, beyond the latest end of what is drained

std::string usec(ServiceNotifier::Clock::duration time) {
  return std::to_string(duration_cast<microseconds>(time).count());
}

// systemd wants CLOCK_MONOTONIC, to know this reload from earlier ones.
std::string monotonic_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1000);
}

}  // namespace

bool ServiceNotifier::watchdog_is_due(Clock::time_point now) const {
  const auto limit = manager_.watchdog();
  return limit && (!said_.watchdog || now >= *said_.watchdog + *limit / 2);
}

void ServiceNotifier::tell(const Picture& picture, Clock::time_point now) {
  if (!manager_.listens()) return;
  Said next = said_;
  std::string lines;
  if ((picture.ready && !said_.ready) || reloaded_) lines += "READY=1\n";
  next.ready = said_.ready || picture.ready;
  if (picture.stopping && !said_.stopping) lines += "STOPPING=1\n";
  next.stopping = said_.stopping || picture.stopping;
  if (picture.stopping && picture.stopped_by != said_.stopped_by) {
    lines += "EXTEND_TIMEOUT_USEC=" + usec(picture.stopped_by - now + kStopMargin) + '\n';
    next.stopped_by = picture.stopped_by;
  }
  const bool waits = !next.ready || (reloading_ && !reloaded_);
  if (waits && !picture.stopping && (!said_.patience || now >= *said_.patience + kAskForPatience)) {
    lines += "EXTEND_TIMEOUT_USEC=" + usec(kPatience) + '\n';
    next.patience = now;
  }
  if (picture.words != said_.words) lines += "STATUS=" + picture.words + '\n';
  next.words = picture.words;
  if (watchdog_is_due(now)) {
    lines += "WATCHDOG=1\n";
    next.watchdog = now;
  }
  if (lines.empty() || !manager_.tell(lines)) return;
  said_ = std::move(next);
  if (std::exchange(reloaded_, false)) reloading_ = false;
}

// A manager that did not get this datagram does not wait for READY=1 either. One that still waits for the
// first READY=1 gets none of this, or it would take the reload's READY=1 for the first.
void ServiceNotifier::reloading() {
  reloaded_ = false;
  if (!said_.ready) return;
  reloading_ = manager_.tell("RELOADING=1\nMONOTONIC_USEC=" + monotonic_usec() + '\n');
}

void ServiceNotifier::feed_watchdog(Clock::time_point now) {
  if (manager_.watchdog() && manager_.tell("WATCHDOG=1\n")) said_.watchdog = now;
}

std::optional<ServiceNotifier::Clock::time_point> ServiceNotifier::next() const {
  const auto limit = manager_.watchdog();
  if (!limit || !said_.watchdog) return std::nullopt;
  return *said_.watchdog + *limit / 2;
}

}  // namespace postpone::supervisor

#include "supervisor/announcer.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <utility>

#include "sys/logger.h"
#include "sys/process_title.h"

namespace postpone::supervisor {

using status::Phase;

Announcer::Announcer(const sys::ServiceManager& manager, const std::string& name,
                     const std::string& config_path, std::function<status::SupervisorFacts()> look)
    : service_(manager), look_(std::move(look)) {
  process_.version = POSTPONE_VERSION;
  process_.name = name;
  process_.pid = ::getpid();
  process_.started_ns = board::now_ns();
  process_.started_unix_ns = status::unix_now_ns();
  process_.config_file = config_path;
}

CrewObserver* Announcer::open(Loop& loop, const config::Config& config, const board::Board& board) {
  if (config.status.socket.empty()) return nullptr;
  return &endpoint_.emplace(loop, config, board, [this] { return look(); });
}

status::SupervisorFacts Announcer::look() const {
  status::SupervisorFacts facts = look_();
  facts.process = process_;
  facts.preflight_trouble = preflight_trouble_;
  return facts;
}

void Announcer::show(const Picture& picture) {
  log_degraded(picture);
  if (endpoint_) endpoint_->tend(picture.slots);
  const std::string line = words(picture);
  sys::set_process_title("supervisor: " + line);
  // Ready needs the housekeeper too, since it sends the heartbeats and rescues jobs.
  was_ready_ = was_ready_ || (picture.phase == Phase::working && picture.standing.is_complete());
  service_.tell({.ready = was_ready_,
                 .stopping = picture.phase == Phase::draining,
                 .stopped_by = picture.stop_by,
                 .words = line},
                Clock::now());
}

void Announcer::log_degraded(const Picture& picture) {
  const bool working = picture.phase == Phase::working;
  const bool degraded = working && picture.standing.failing > 0;
  if (degraded && !degraded_) sys::log.error("degraded: {}", failing_words(picture.standing));
  if (!degraded && degraded_ && working) sys::log.info("all processes get ready again");
  degraded_ = degraded;
}

std::string Announcer::words(const Picture& picture) {
  const bool working = picture.phase == Phase::working;
  const char* phase = picture.phase == Phase::preflight  ? "waiting for the preflight"
                      : picture.phase == Phase::draining ? "draining"
                      : picture.paused                   ? "paused"
                                                         : "working";
  const MemberId failing = working ? picture.standing.failing : 0;
  return fmt::format("{}{}{}, {} sub-workers",
                     failing == 0 ? "" : fmt::format("degraded ({} do not get ready), ", failing), phase,
                     picture.checking ? ", checking a new configuration" : "",
                     working ? picture.standing.wanted - 1 : picture.living_sub_workers);
}

void Announcer::on_preflight_trouble(std::string reason) {
  preflight_trouble_ = status::Trouble{board::now_ns(), std::move(reason)};
}

void Announcer::on_reload_end(bool ok, const std::string& message) {
  process_.last_reload = status::Reload{board::now_ns(), ok, message};
  service_.reloaded();
}

}  // namespace postpone::supervisor

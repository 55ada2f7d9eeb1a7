#include "supervisor/waking.h"

#include <utility>

#include "board/wake.h"
#include "sys/crash_point.h"
#include "sys/logger.h"

namespace postpone::supervisor {

Waking::Waking(Loop& loop, const board::Board& board, const config::Config& config,
               std::function<void()> on_connecting)
    : loop_(loop), board_(board), config_(config), on_connecting_(std::move(on_connecting)) {}

void Waking::listen() {
  listening_.reset();
  if (!config_.database.listen) return;
  listening_.emplace(loop_, options(),
                     Listening::Handlers{[this](const auto& notification) { on_notification(notification); },
                                         [this] {
                                           sys::log.info("listening");
                                           board::ring_all(board_, board::kRungForWork);
                                         },
                                         on_connecting_});
}

sql::ListenOptions Waking::options() const {
  sql::ListenOptions options;
  options.url = config_.database.listen_url.empty() ? config_.database.url : config_.database.listen_url;
  options.application_name = "postpone supervisor";
  options.connect_timeout = config_.database.connect_timeout;
  for (const config::Group& group : config_.groups) {
    if (group.queues.empty()) {  // it serves all
      options.queues.clear();
      break;
    }
    options.queues.insert(options.queues.end(), group.queues.begin(), group.queues.end());
  }
  return options;
}

void Waking::on_notification(const sql::Notification& notification) {
  // A hint, which any client may give: the housekeeper asks the database which jobs have to stop.
  if (notification.type == sql::Notification::Type::abort_job_requested)
    return board_.header().housekeeper_doorbell.ring(board::kRungForAborts);
  if (notification.scheduled) board_.header().housekeeper_doorbell.ring(board::kRungForWork);
  sys::crash_point("supervisor.notification_heard");
  if (notification.count > 0)
    board::wake(board_, config_.groups_serving(notification.queue), notification.count);
}

std::optional<Listening::Facts> Waking::facts() const {
  return listening_ ? std::optional(listening_->facts()) : std::nullopt;
}

}  // namespace postpone::supervisor

#include "sql/notification.h"

#include <algorithm>
#include <climits>
#include <nlohmann/json.hpp>
#include <utility>

namespace postpone::sql {
namespace {

using nlohmann::json;

constexpr std::string_view kAnyQueueChannel = "procrastinate_any_queue_v1";
constexpr std::string_view kQueueChannelPrefix = "procrastinate_queue_v1#";
constexpr std::size_t kMaxChannelBytes = 63;
constexpr std::size_t kMaxQueueBytes = kMaxChannelBytes - kQueueChannelPrefix.size();

// Strangers may send longer ones.
constexpr std::size_t kMaxPayloadBytes = 2048;  // the name of a queue has 128 characters, of 6 bytes at most
constexpr std::string_view kJobInserted = "job_inserted";
constexpr std::string_view kAbortRequested = "abort_job_requested";

// What `key` says, `fallback` when it is absent, nothing when it is of another type.
template <class T>
std::optional<T> member(const json& object, const char* key, bool (json::*is_type)() const noexcept,
                        const T& fallback) {
  const auto found = object.find(key);
  if (found == object.end()) return fallback;
  if (!((*found).*is_type)()) return std::nullopt;
  return found->template get<T>();
}

std::optional<Notification::Type> type_of(const json& object) {
  const auto label = member<std::string>(object, "type", &json::is_string, "");
  if (label == kJobInserted) return Notification::Type::job_inserted;
  if (label == kAbortRequested) return Notification::Type::abort_job_requested;
  return std::nullopt;
}

}  // namespace

std::optional<Notification> parse_notification(std::string_view channel, std::string_view payload) {
  const bool any_queue = channel == kAnyQueueChannel;
  if (!any_queue && !channel.starts_with(kQueueChannelPrefix)) return std::nullopt;
  if (payload.size() > kMaxPayloadBytes) return std::nullopt;
  const json object = json::parse(payload, nullptr, false);
  if (!object.is_object()) return std::nullopt;

  const std::string queue_of_channel(any_queue ? "" : channel.substr(kQueueChannelPrefix.size()));
  const auto type = type_of(object);
  const auto job_id = member<std::int64_t>(object, "job_id", &json::is_number_integer, 0);
  const auto queue = member<std::string>(object, "queue", &json::is_string, queue_of_channel);
  const auto count = member<std::int64_t>(object, "count", &json::is_number_integer, 1);
  const auto scheduled = member<bool>(object, "scheduled", &json::is_boolean, false);
  if (!type || !job_id || *job_id <= 0 || !queue || !count || *count < 0 || !scheduled) return std::nullopt;
  return Notification{*type, *job_id, *queue, static_cast<int>(std::min<std::int64_t>(*count, INT_MAX)),
                      *scheduled};
}

void fold(Notification notification, std::vector<Notification>& others) {
  for (Notification& other : others) {
    if (other.type != notification.type) continue;
    if (notification.type == Notification::Type::abort_job_requested) return;
    if (other.queue != notification.queue) continue;
    other.count =
        static_cast<int>(std::min<std::int64_t>(std::int64_t{other.count} + notification.count, INT_MAX));
    other.scheduled = other.scheduled || notification.scheduled;
    return;
  }
  others.push_back(std::move(notification));
}

std::vector<std::string> channels_for(const std::vector<std::string>& queues) {
  std::vector<std::string> channels;
  for (const std::string& queue : queues) {
    if (queue.size() > kMaxQueueBytes) return {std::string(kAnyQueueChannel)};
    std::string channel = std::string(kQueueChannelPrefix) + queue;
    if (std::find(channels.begin(), channels.end(), channel) == channels.end())
      channels.push_back(std::move(channel));
  }
  if (channels.empty()) channels.emplace_back(kAnyQueueChannel);
  return channels;
}

bool says_nothing_new(const std::string& payload, const std::vector<Notification>& notifications) {
  if (payload.find(kAbortRequested) == std::string::npos || payload.find(kJobInserted) != std::string::npos)
    return false;
  return std::any_of(notifications.begin(), notifications.end(), [](const Notification& notification) {
    return notification.type == Notification::Type::abort_job_requested;
  });
}

}  // namespace postpone::sql

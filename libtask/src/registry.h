// The tasks and schedules that an App has registered.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libtask/task.h"
#include "libtask/wire/description.h"

namespace libtask::detail {

// What the database holds.
inline constexpr std::size_t kMaxNameCharacters = 128;  // of a queue
inline constexpr std::size_t kMaxLockBytes = 2000;

// A namespace, or the App.
struct Scope {
  std::string prefix{};          // of the names of its tasks, with the dot at its end
  const Scope* outer = nullptr;  // the one that it is within; null for the App
  std::vector<Middleware> around{};
};

struct TaskEntry {
  std::string name;  // the whole of it
  Handler handler;
  std::vector<std::string> parameters{};  // the names; none for the long form
  std::string queue = "default";
  int priority = 0;
  std::optional<std::string> lock{};
  std::optional<std::string> queueing_lock{};
  std::optional<std::chrono::milliseconds> time_limit{};
  std::optional<RetryOptions> retry{};
  std::vector<std::string> aliases{};
  std::optional<std::int64_t> memory_limit{};  // bytes
  std::optional<int> concurrency_limit{};      // jobs
  bool fresh_process = false;
  const Scope* scope = nullptr;  // null = none is around it

  bool is_called(std::string_view task) const;
};

struct PeriodicEntry {
  std::string cron;
  std::string task;
  PeriodicOptions options;
};

struct Registry {
  std::deque<Scope> scopes = std::deque<Scope>(1);  // the App is the first; a deque, as that of the tasks
  std::deque<TaskEntry> tasks;                      // a deque, because Task handles point into it
  std::vector<PeriodicEntry> periodic;
  std::vector<std::function<void()>> set_up;
  std::vector<std::function<void()>> tear_down;

  // By its name, or by an alias.
  const TaskEntry* find(std::string_view task) const;

  // What there is instead of a task that is not there, as nearest_tasks() says it.
  std::string nearest(std::string_view task) const;
};

// The registry of an App, for those parts of libtask that get an App from an author.
struct AppAccess {
  static const Registry& registry(const App& app) { return *app.owned_; }
};

// The task's retry strategy, as a sub-worker reads it in the description.
std::optional<wire::RetryStrategy> retry_strategy(const TaskEntry& task);

// Every mistake in a registration, one clear line each; none when it is sound.
std::vector<std::string> faults_of(const Registry& registry);

// The JSON text of --describe. REQUIRES: a registry without faults.
// `stack_signal`: as tell_stack_when_asked() returned it.
std::string describe(const Registry& registry, std::optional<int> stack_signal = std::nullopt);

}  // namespace libtask::detail

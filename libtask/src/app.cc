#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "by_hand.h"
#include "libtask/task.h"
#include "libtask/wire/frame.h"
#include "registry.h"
#include "serve.h"

namespace libtask {

Task Task::queue(std::string name) {
  entry_->queue = std::move(name);
  return *this;
}

Task Task::priority(int priority) {
  entry_->priority = priority;
  return *this;
}

Task Task::lock(std::string lock) {
  entry_->lock = lock.empty() ? std::nullopt : std::optional(std::move(lock));
  return *this;
}

Task Task::queueing_lock(std::string lock) {
  entry_->queueing_lock = lock.empty() ? std::nullopt : std::optional(std::move(lock));
  return *this;
}

Task Task::alias(std::string name) {
  entry_->aliases.push_back(std::move(name));
  return *this;
}

Task Task::memory_limit(std::int64_t bytes) {
  entry_->memory_limit = bytes;
  return *this;
}

Task Task::concurrency_limit(int jobs) {
  entry_->concurrency_limit = jobs;
  return *this;
}

Task Task::fresh_process() {
  entry_->fresh_process = true;
  return *this;
}

Task Task::time_limit(std::chrono::milliseconds limit) {
  entry_->time_limit = limit;
  return *this;
}

Task Task::retry(RetryOptions options) {
  entry_->retry = std::move(options);
  return *this;
}

Task Namespace::add(std::string_view name, Handler handler, std::vector<std::string> parameters) {
  return Task(registry_->tasks.emplace_back(detail::TaskEntry{.name = scope_->prefix + std::string(name),
                                                              .handler = std::move(handler),
                                                              .parameters = std::move(parameters),
                                                              .scope = scope_}));
}

void Namespace::periodic(std::string cron, std::string task, PeriodicOptions options) {
  registry_->periodic.push_back({std::move(cron), scope_->prefix + task, std::move(options)});
}

void Namespace::around(Middleware middleware) {
  scope_->around.push_back(std::move(middleware));
}

void Namespace::set_up(std::function<void()> action) {
  registry_->set_up.push_back(std::move(action));
}

void Namespace::tear_down(std::function<void()> action) {
  registry_->tear_down.push_back(std::move(action));
}

Namespace Namespace::in(std::string_view name) const {
  return {*registry_, registry_->scopes.emplace_back(detail::Scope{
                          .prefix = scope_->prefix + std::string(name) + ".", .outer = scope_})};
}

detail::RegistryOwner::RegistryOwner() : owned_(std::make_unique<Registry>()) {}
detail::RegistryOwner::~RegistryOwner() = default;

App::App() : Namespace(*owned_, owned_->scopes.front()) {}

namespace {

// A handler's file or socket must not become what it, and the libraries it uses, take for standard output.
// (sys/standard_streams.cc does the same for programs that do not link libtask.)
void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || ::open("/dev/null", O_RDWR) == fd) continue;
    constexpr std::string_view kProblem =
        "libtask: cannot open /dev/null in the place of a standard descriptor that is closed; mount a /dev "
        "that "
        "has it\n";
    // Where standard error is closed, this goes nowhere.
    [[maybe_unused]] const ssize_t written =
        fd == STDERR_FILENO ? 0 : ::write(STDERR_FILENO, kProblem.data(), kProblem.size());
    std::_Exit(1);
  }
}

}  // namespace

int App::run(int argc, char** argv) {
  open_standard_descriptors();
  const std::string_view path = argc > 0 ? argv[0] : "task-executable";
  const std::string_view program = path.substr(path.rfind('/') + 1);
  const std::vector<std::string> faults = detail::faults_of(*owned_);
  for (const std::string& fault : faults) std::cerr << program << ": " << fault << '\n';
  if (!faults.empty()) return 2;
  if (const char* channel = std::getenv(wire::kChannelVariable)) return detail::serve(*owned_, channel);
  return detail::serve_by_hand(*owned_, program,
                               std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}

}  // namespace libtask

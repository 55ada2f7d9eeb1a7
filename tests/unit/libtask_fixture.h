// One task with one handler, and jobs of it that run in the test itself.
#pragma once

#include <libtask/json.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libtask/src/execute.h"

namespace libtask::detail {

// A giver of jobs that says what the test wants and writes down what it hears.
class FakeGiver : public JobGiver {
 public:
  std::optional<AbortReason> stop_wish(std::int64_t) override { return wish; }
  int stop_descriptor() const override { return -1; }
  void tell_progress(const wire::Progress& progress) override { told.push_back(progress); }
  void tell_value(const wire::Value& value) override { values.push_back(value); }
  void log(const wire::Log& line) override { logged.push_back(line); }

  std::optional<AbortReason> wish;
  std::vector<wire::Progress> told;
  std::vector<wire::Value> values;
  std::vector<wire::Log> logged;
};

class OneTask {
 public:
  template <class F>
  explicit OneTask(F handler) {
    registry.tasks.push_back({.name = "dishes.wash", .handler = untyped(std::move(handler))});
  }
  template <class F, std::size_t N>
  OneTask(F handler, const char* const (&names)[N]) {
    registry.tasks.push_back(
        {.name = "dishes.wash", .handler = TypedHandler<F, N>(std::move(handler), names)});
  }

  TaskEntry& task() { return registry.tasks.front(); }
  wire::Result run(const std::string& args = "{}") {
    return execute(wire::Run{.job_id = 17, .task = "dishes.wash", .queue = "kitchen", .args = args}, registry,
                   giver);
  }
  wire::Result run(const wire::Run& job) { return execute(job, registry, giver); }

  Registry registry;
  FakeGiver giver;
};

}  // namespace libtask::detail

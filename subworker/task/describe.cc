#include "subworker/task/describe.h"

#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <csignal>

#include "libtask/wire/frame.h"
#include "subworker/task/task_environment.h"
#include "subworker/task/task_process.h"
#include "sys/process.h"

namespace postpone::subworker {
namespace {

constexpr std::chrono::seconds kLimit{30};
constexpr std::size_t kMostBytes = 4 * 1024 * 1024;

// Of a signal it is known only what the captured problem says: SIGKILL is the kernel's for want of memory.
TaskNotAsked::Why why_not_asked(const sys::Captured& captured) {
  using End = sys::Captured::End;
  if (captured.end == End::not_started && sys::is_passing(captured.error_number))
    return TaskNotAsked::Why::want;
  const sys::ExitReport killed{.signalled = true, .code = SIGKILL};
  const bool was_killed = captured.end == End::killed && captured.problem.ends_with(sys::to_string(killed));
  return captured.end == End::late || was_killed ? TaskNotAsked::Why::cut_off : TaskNotAsked::Why::other;
}

}  // namespace

libtask::wire::Description describe(const config::Group& group, const std::function<void()>& waiting) {
  sys::ProcessSpec spec;
  spec.executable = group.executable;
  spec.arguments = {"--describe"};
  spec.arguments.insert(spec.arguments.end(), group.arguments.begin(), group.arguments.end());
  try {
    spec.environment = task_environment(group);
    spec.user = task_user(group);
  } catch (const sys::SpawnError& error) {
    if (sys::is_passing(error.error_number())) throw TaskNotAsked(error.what(), TaskNotAsked::Why::want);
    throw;
  }
  spec.own_process_group = true;
  spec.without_capabilities = true;
  spec.parent_death_signal = SIGKILL;
  const auto captured = sys::run_and_capture(spec, kLimit, kMostBytes, waiting);
  if (captured.hidden)
    throw BadTask(fmt::format(
        "task executable {}: /proc hides its processes{} from the user of the supervisor, so what jobs leave "
        "behind could not be found: set ProtectProc=default (or mount /proc without hidepid), or add the "
        "ambient capability CAP_SYS_PTRACE",
        group.executable, group.user.empty() ? "" : " of user " + group.user));
  if (!captured.problem.empty()) {
    const std::string what =
        fmt::format("task executable {} --describe: {}", group.executable, sys::explain(captured));
    if (captured.end == sys::Captured::End::status) throw BadTask(what);
    throw TaskNotAsked(what, why_not_asked(captured));
  }
  try {
    auto description = libtask::wire::parse_description(captured.output);
    if (libtask::wire::is_served(description.protocol_version)) return description;
    throw std::runtime_error(fmt::format(
        "it was built with libtask {} (protocol {}), this is protocol {}: build it again",
        description.libtask_version, description.protocol_version, libtask::wire::kProtocolVersion));
  } catch (const std::runtime_error& error) {
    throw BadTask(fmt::format("task executable {} --describe: {}", group.executable, error.what()));
  }
}

}  // namespace postpone::subworker

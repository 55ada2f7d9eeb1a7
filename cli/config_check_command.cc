// postpone config check
#include <chrono>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "cli/command.h"
#include "cli/options/parser.h"
#include "cli/options/value_checks.h"
#include "cli/text/text.h"
#include "config/config.h"
#include "libtask/wire/description.h"
#include "libtask/wire/frame.h"
#include "sql/connecting.h"
#include "sys/process.h"

namespace postpone::cli {
namespace {

// Asks the groups' task executables to describe themselves. It runs them as the supervisor does at its start,
// but as the user of this command.
class TaskCheck {
 public:
  // One line: the tasks of the group's executable, or what is wrong with it.
  std::string ask(const config::Group& group) {
    sys::ProcessSpec spec;
    spec.executable = group.executable;
    spec.arguments = {"--describe"};
    spec.arguments.insert(spec.arguments.end(), group.arguments.begin(), group.arguments.end());
    spec.environment = sys::current_environment(
        [](const std::string& name) { return name.starts_with("PG") || name.starts_with("POSTPONE_"); });
    spec.environment.insert(spec.environment.end(), group.environment.begin(), group.environment.end());
    const sys::Captured captured = sys::run_and_capture(spec, kLimit, kMostBytes);
    if (!captured.problem.empty()) return fail(sys::explain(captured));
    try {
      const auto description = libtask::wire::parse_description(captured.output);
      if (!libtask::wire::is_served(description.protocol_version))
        return fail("it was built with libtask " + description.libtask_version + ": build it again");
      std::string tasks;
      for (const auto& task : description.tasks) tasks += (tasks.empty() ? "" : ", ") + task.name;
      return tasks.empty() ? "it has no tasks" : "tasks " + tasks;
    } catch (const std::runtime_error& error) {
      return fail(error.what());
    }
  }
  // Whether every executable so far has described itself.
  bool is_good() const { return good_; }

 private:
  static constexpr std::chrono::seconds kLimit{30};
  static constexpr std::size_t kMostBytes = 4UL * 1024 * 1024;

  std::string fail(const std::string& why) {
    good_ = false;
    return "no task executable: --describe: " + why;
  }

  bool good_ = true;
};

ExitCode check(const std::string& path, bool with_tasks) {
  const config::ParseResult result = config::load(path);
  for (const config::Problem& problem : result.problems) {
    std::cerr << printable(config::to_string(problem, path)) << '\n';
  }
  if (!result.config) return ExitCode::configuration;
  bool good = true;
  for (const auto& [key, url] : {std::pair("url", result.config->database.url),
                                 std::pair("listen_url", result.config->database.listen_url)}) {
    const std::string fault = sql::fault_of_url(url);
    if (fault.empty()) continue;
    good = false;
    std::cerr << printable(path) << ": \"" << key << "\" in [database]: " << fault << '\n';
  }
  if (!good) return ExitCode::configuration;
  TaskCheck tasks;
  std::cout << printable(path) << ": correct\n";
  for (const config::Group& group : result.config->groups) {
    std::cout << "  " << printable(group.name) << ": " << group.count
              << (group.count == 1 ? " sub-worker" : " sub-workers") << ", queues ";
    if (group.queues.empty()) std::cout << "all";
    for (std::size_t i = 0; i < group.queues.size(); ++i)
      std::cout << (i > 0 ? ", " : "") << printable(group.queues[i]);
    std::cout << ", " << printable(group.executable) << '\n';
    if (with_tasks) std::cout << "    " << printable(tasks.ask(group)) << '\n';
  }
  return tasks.is_good() ? ExitCode::done : ExitCode::configuration;
}

}  // namespace

void add_config_command(Command& app, Invocation& invocation) {
  Command* config = app.add_subcommand("config", "The supervisor's configuration file");
  config->require_subcommand(1);
  Command* check_command = config->add_subcommand(
      "check", "Report every problem of a configuration file as file:line:column; exit code 3");
  const auto path = std::make_shared<std::string>();
  nonempty(check_command->add_option("FILE", *path, "The TOML file")->type_name("")->required());
  const auto with_tasks = std::make_shared<bool>(false);
  check_command->add_flag("--tasks", *with_tasks,
                          "Also run each task executable with --describe, and list its tasks");
  check_command->final_callback([&invocation, path, with_tasks] {
    invocation.run = [path, with_tasks] { return check(*path, *with_tasks); };
  });
}

}  // namespace postpone::cli

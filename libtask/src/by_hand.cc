#include "by_hand.h"

#include <iostream>
#include <stdexcept>

#include "run_by_hand.h"

namespace libtask::detail {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

std::string help(std::string_view program) {
  const std::string line = "  " + std::string(program);
  return "A task executable of Postpone. A supervisor starts it; by hand:\n" + line +
         " run TASK [JSON] [OPTION…]   run one job now, without a database\n" + line +
         " --list                      the tasks, each with the names of its arguments\n" + line +
         " --describe                  the tasks with all their options, and the schedules, as JSON\n" +
         line +
         " --help                      this text\n"
         "JSON holds the arguments; \"-\" reads them from standard input, \"@FILE\" from a file. Options of "
         "run:\n"
         "  --attempt N             which attempt the handler sees; 1 = the first, as without it\n"
         "  --abort-after DURATION  after 500ms, 2s, 5m: should_abort() becomes true\n"
         "  --json                  the outcome as JSON on stdout; what the handler writes there goes to "
         "stderr\n"
         "  --id N, --queue NAME, --priority N, --lock NAME, --meta JSON, --deferred-by N   of the job, as "
         "the handler sees it\n";
}

int run(const Registry& registry, std::string_view program, const std::vector<std::string>& words) {
  try {
    return run_by_hand(registry, program, read_run(words));
  } catch (const std::invalid_argument& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return kUsage;
  }
}

// A pipe that closed early must not pass for success: the reader of --describe would believe half of it.
int print(const std::string& text) {
  std::cout << text;
  return std::cout.flush() ? kDone : kFailed;
}

// "dishes.wash dish times", one line a task.
std::string list_of(const Registry& registry) {
  std::string lines;
  for (const TaskEntry& task : registry.tasks) {
    lines += task.name;
    for (const std::string& parameter : task.parameters) lines += " " + parameter;
    lines += '\n';
  }
  return lines;
}

}  // namespace

int serve_by_hand(const Registry& registry, std::string_view program,
                  const std::vector<std::string>& arguments) {
  const std::string command = arguments.empty() ? "" : arguments.front();
  if (command == "run" && arguments.back() == "--help") return print(help(program));
  if (command == "run") return run(registry, program, {arguments.begin() + 1, arguments.end()});
  // Whatever follows: a group of sub-workers may give its program arguments of its own, which are not ours to
  // read.
  if (command == "--describe") return print(describe(registry) + "\n");
  if (arguments.size() == 1) {
    if (command == "--list") return print(list_of(registry));
    if (command == "--help" || command == "-h") return print(help(program));
  }
  std::cerr << help(program);
  return kUsage;
}

}  // namespace libtask::detail

// postpone-subworker: one member of the family that a supervisor starts. Its role is an argument: a
// sub-worker (--group), the housekeeper (--housekeeper) or the preflight (--preflight). With --config FILE a
// sub-worker runs alone, on a board of its own, for instance under a debugger.
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "board/board.h"
#include "board/family.h"
#include "board/ledger.h"
#include "config/config.h"
#include "subworker/family/leash.h"
#include "subworker/family/log_follower.h"
#include "subworker/family/signals.h"
#include "subworker/housekeeper/housekeeper.h"
#include "subworker/preflight/preflight.h"
#include "subworker/worker/sub_worker.h"
#include "sys/cgroup.h"
#include "sys/fd.h"
#include "sys/host.h"
#include "sys/inquiry.h"
#include "sys/log.h"
#include "sys/logger.h"
#include "sys/oom.h"
#include "sys/process.h"
#include "sys/process_title.h"
#include "sys/standard_streams.h"

namespace postpone::subworker {
namespace {

struct Arguments {
  bool housekeeper = false;
  bool preflight = false;
  bool reload = false;           // the preflight of a family that runs
  std::string config_file;       // by hand
  std::string config_directory;  // of the text behind kConfigFd
  std::string group;
  std::string supervisor;
  std::string log_level;
  std::optional<int> oom_score;
  std::string cgroup;
  std::uint32_t slot = 0;
  std::uint32_t generation = 1;

  bool by_hand() const { return !config_file.empty(); }
};

// What is wrong stands in the log already.
struct UsageError {};

config::Config read_config(const Arguments& arguments, int fd = board::kConfigFd) {
  const auto result = arguments.by_hand() ? config::load(arguments.config_file)
                                          : config::parse(sys::read_whole(fd), arguments.config_directory,
                                                          config::Files::trust);
  for (const config::Problem& problem : result.problems)
    sys::log.error(
        "{}", config::to_string(problem, arguments.by_hand() ? arguments.config_file : "the configuration"));
  if (!result.config) throw UsageError();
  config::Config config = *result.config;
  config::Overrides overrides;
  if (const char* url = std::getenv("POSTPONE_DATABASE_URL")) overrides.database_url = url;
  if (!arguments.log_level.empty()) overrides.log_level = arguments.log_level;
  config::apply(overrides, config);
  return config;
}

const config::Group& find_group(const config::Config& config, const std::string& name) {
  std::string known;
  for (const config::Group& group : config.groups) {
    if (group.name == name) return group;
    known += (known.empty() ? "" : ", ") + group.name;
  }
  sys::log.error("--group: there is no group \"{}\" in the configuration; it has: {}", name, known);
  throw UsageError();
}

board::SubWorkerExit run_sub_worker(const Arguments& arguments, const config::Config& config) {
  const config::Group& group = find_group(config, arguments.group);
  auto board =
      arguments.by_hand() ? board::Board::create(1, 1) : board::Board::attach(sys::Fd(board::kBoardFd));
  if (arguments.by_hand()) board.reset_slot(0, board::group_id(group.name));
  auto ledger =
      arguments.by_hand() ? board::Ledger::create() : board::Ledger::attach(sys::Fd(board::kLedgerFd));
  Leash leash = arguments.by_hand() ? Leash() : Leash(sys::Fd(board::kLeashFd), arguments.generation);
  const SignalHandlers handlers(board.slot(arguments.slot).doorbell, !arguments.by_hand());
  sys::accept_inquiries();
  sys::become_subreaper();
  Identity identity;
  identity.supervisor = arguments.supervisor;
  identity.host = sys::host_name();
  identity.name = fmt::format("{}/{}", arguments.group, arguments.slot);
  identity.slot = arguments.slot;
  identity.generation = arguments.generation;
  identity.cgroup = arguments.cgroup;
  sys::Fd hold;
  if (!identity.cgroup.empty() && !(hold = sys::hold_cgroup(identity.cgroup))) {
    sys::log.warn("cannot hold the cgroup {}: task processes are started outside of it", identity.cgroup);
    identity.cgroup.clear();
  }
  return SubWorker(config, group, board, identity, std::move(leash), std::move(ledger)).run();
}

board::SubWorkerExit run_housekeeper(const Arguments& arguments, const config::Config& config) {
  const auto board = board::Board::attach(sys::Fd(board::kBoardFd));
  const SignalHandlers handlers(board.header().housekeeper_doorbell, true);
  return Housekeeper(config, board, Leash(sys::Fd(board::kLeashFd), 1), arguments.cgroup).run();
}

board::SubWorkerExit run_preflight(const config::Config& config, Occasion occasion) {
  const auto board = board::Board::attach(sys::Fd(board::kBoardFd));
  const SignalHandlers handlers(board.header().housekeeper_doorbell, true);
  LogFollower log_follower(board);
  return preflight(config, occasion, Leash(sys::Fd(board::kLeashFd), 1), log_follower);
}

sys::LogIdentity identity_of(const Arguments& arguments) {
  if (arguments.housekeeper) return {.role = "housekeeper", .component = sys::Component::housekeeper};
  if (arguments.preflight) return {.role = "preflight"};
  return {.role = "sub-worker",
          .component = sys::Component::subworker,
          .group = arguments.group,
          .slot = arguments.slot};
}

std::string title_of(const sys::LogIdentity& identity) {
  return identity.slot ? fmt::format("{} {}/{}", identity.role, identity.group, *identity.slot)
                       : identity.role;
}

// The supervisor has opened the file before us. What has become of it since must not end the family.
void start_log(const sys::LogIdentity& identity, const config::Log& log) {
  sys::LogOptions options{log.level, log.levels, log.format == config::LogFormat::json, log.file};
  try {
    sys::init_log(identity, options);
  } catch (const std::system_error& error) {
    options.file.clear();
    sys::init_log(identity, options);
    sys::log.error("{}; writing to standard error", error.what());
  }
}

board::SubWorkerExit run(const Arguments& arguments) {
  const sys::LogIdentity identity = identity_of(arguments);
  sys::init_log(identity, {});
  const config::Config config = read_config(arguments);
  // What a new configuration says of the log is not in force yet.
  start_log(identity, arguments.reload ? read_config(arguments, board::kLogConfigFd).log : config.log);
  sys::set_process_title(title_of(identity) + ": starting");
  if (arguments.housekeeper) return run_housekeeper(arguments, config);
  if (arguments.preflight)
    return run_preflight(config, arguments.reload ? Occasion::reload : Occasion::start);
  return run_sub_worker(arguments, config);
}

// In decimal digits, as a person reads it; CLI11 alone takes 010 for 8.
std::function<std::string(std::string)> number_between(std::int64_t lowest, std::int64_t highest) {
  return [lowest, highest](const std::string& text) {
    const auto number = config::parse_whole_number(text, lowest, highest);
    if (!number)
      throw CLI::ValidationError(
          fmt::format("\"{}\" is no whole number from {} to {} in decimal digits", text, lowest, highest));
    return std::to_string(*number);
  };
}

// A mask that was inherited would make this process deaf to SIGTERM.
void unblock_signals() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Opens the file of our score for the OOM killer: after forbid_inspection() only root could. The score is
// known once the arguments are read.
sys::Fd open_oom_score() {
  return sys::Fd(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
}

// A score that the kernel does not grant is no reason to end.
void set_oom_score(sys::Fd file, int score) {
  const std::string text = std::to_string(score);
  if (file && ::write(file.get(), text.data(), text.size()) < 0)
    sys::log.debug("cannot set oom_score_adj to {}: {}", score, std::strerror(errno));
}

Arguments parse_arguments(CLI::App& app, int argc, char** argv) {
  Arguments arguments;
  app.add_flag("--housekeeper", arguments.housekeeper, "Keep time for a supervisor");
  app.add_flag("--preflight", arguments.preflight, "Check task executables and schema, then exit");
  app.add_flag("--reload", arguments.reload, "With --preflight: for a family that runs already");
  app.add_option("--config", arguments.config_file, "Run one sub-worker alone, with this configuration file");
  app.add_option("--config-directory", arguments.config_directory,
                 "What the inherited configuration's paths are relative to");
  app.add_option("--group", arguments.group, "The group to belong to");
  app.add_option("--supervisor", arguments.supervisor, "Whose sub-worker this is");
  app.add_option("--slot", arguments.slot, "Its place on the board")
      ->transform(number_between(0, board::kMaxSlots - 1));
  app.add_option("--generation", arguments.generation, "Which incarnation of the slot")
      ->transform(number_between(0, std::numeric_limits<std::uint32_t>::max()));
  app.add_option("--cgroup", arguments.cgroup,
                 "The directory of the cgroup for its task processes; of a housekeeper: the one in which "
                 "families keep theirs");
  app.add_option("--oom-score", arguments.oom_score, "Its oom_score_adj")
      ->transform(number_between(-sys::kHighestOomScoreAdj, sys::kHighestOomScoreAdj));
  app.add_option("--log-level", arguments.log_level, "Instead of the configuration's");
  app.footer(
      "Exit status: 0 drained, 1 failure, 2 usage or configuration, 3 task executable, 4 schema.\n"
      "Signals: TERM, INT drain (twice: now), USR1 opens the log file again, USR2 asks for a stack (see "
      "`postpone stack`).");
  app.parse(argc, argv);
  if (arguments.housekeeper + arguments.preflight + !arguments.group.empty() != 1)
    throw CLI::ValidationError("say one of --group, --housekeeper, --preflight");
  if (arguments.reload && !arguments.preflight) throw CLI::ValidationError("--reload goes with --preflight");
  if (arguments.by_hand() && arguments.supervisor.empty()) arguments.supervisor = "by hand";
  return arguments;
}

// --help is answered, all else is wrong.
board::SubWorkerExit answer(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) {
    std::fprintf(stderr, "postpone-subworker: %s; see postpone-subworker --help\n", error.what());
    return board::SubWorkerExit::usage;
  }
  sys::StandardOutput output;
  app.exit(error);
  return output.flush() == 0 ? board::SubWorkerExit::done : board::SubWorkerExit::internal_error;
}

}  // namespace
}  // namespace postpone::subworker

int main(int argc, char** argv) {
  using postpone::board::SubWorkerExit;
  namespace subworker = postpone::subworker;
  postpone::sys::open_standard_descriptors();
  postpone::subworker::unblock_signals();
  auto oom_score = subworker::open_oom_score();
  postpone::sys::forbid_inspection();
  CLI::App app("A sub-worker of Postpone; usually started by postpone-supervisor", "postpone-subworker");
  try {
    const auto arguments = subworker::parse_arguments(app, argc, argv);
    if (arguments.oom_score) subworker::set_oom_score(std::move(oom_score), *arguments.oom_score);
    oom_score =
        postpone::sys::Fd();  // it may have one of the numbers that the family gives to something else
    postpone::sys::init_process_title(argc, argv);
    ::signal(SIGXFSZ, SIG_IGN);  // a log that may not grow is lines that cannot be written
    // The supervisor starts us by a descriptor, whose number would be our name.
    ::prctl(PR_SET_NAME, "postpone-subworker");
    return static_cast<int>(subworker::run(arguments));
  } catch (const CLI::ParseError& error) {
    return static_cast<int>(subworker::answer(app, error));
  } catch (const subworker::UsageError&) {
    return static_cast<int>(SubWorkerExit::usage);
  } catch (const std::exception& error) {
    postpone::sys::log.critical("{}", error.what());
    return static_cast<int>(SubWorkerExit::internal_error);
  }
}

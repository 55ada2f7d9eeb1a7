#include "supervisor/configuration.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <optional>
#include <system_error>
#include <utility>

#include "board/board.h"
#include "sql/connecting.h"
#include "sys/process.h"

namespace postpone::supervisor {
namespace {

static_assert(config::kMaxSubworkers == board::kMaxSlots);

// Descriptors. Of each child: its pidfd, its leash, and the loop's own copy of both. Besides: the loop, the
// board, the configuration (two of them during a reload), the log, the LISTEN connection, the status socket
// and some of its clients, and those that a child is started with.
constexpr rlim_t kForEachChild = 4;
constexpr rlim_t kBesides = 40;
constexpr rlim_t kChildrenBesides = 2;  // housekeeper, preflight

struct Fault {
  std::string origin;  // what is at fault; empty = the file
  std::string words;
};
using Faults = std::vector<Fault>;

// `origin`: where the url comes from, if not from the file.
void judge_url(const char* key, const std::string& url, const std::string& origin, Faults& faults) {
  const std::string fault = sql::fault_of_url(url);
  if (fault.empty()) return;
  if (origin.empty())
    faults.push_back({"", fmt::format("\"{}\" in [database]: {}", key, fault)});
  else
    faults.push_back({origin, fault});
}

void judge_user(const config::Group& group, Faults& faults) {
  if (group.user.empty()) return;
  std::optional<sys::User> user;
  try {
    user = sys::find_user(group.user);
  } catch (const std::system_error&) {  // a directory that does not answer yet: the preflight waits for it
    return;
  }
  if (user && sys::may_start_as(*user)) return;
  faults.push_back(
      {"",
       fmt::format("\"user\" in [[group]] \"{}\": this supervisor may not start processes as another user; "
                   "run it as root, or with the ambient capabilities CAP_SETUID, CAP_SETGID and CAP_KILL",
                   group.name)});
}

void judge_limits(const config::Config& config, Faults& faults) {
  const auto sub_workers = static_cast<rlim_t>(config.total_subworkers());
  rlimit limit{};
  const rlim_t needed = kBesides + kForEachChild * (sub_workers + kChildrenBesides);
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed)
    faults.push_back(
        {"", fmt::format("{} sub-workers need {} open files in the supervisor, and it may have {}: raise the "
                         "limit (ulimit -n, LimitNOFILE=) or lower \"count\"",
                         sub_workers, needed, limit.rlim_cur)});
  // Memory counts as a file here.
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < board::Board::bytes())
    faults.push_back(
        {"", fmt::format("the shared memory of a family takes {} bytes of addresses, and this process may "
                         "make files of {} bytes at most: raise the limit (ulimit -f, LimitFSIZE=)",
                         board::Board::bytes(), limit.rlim_cur)});
  // The timer of each fence holds one pending signal of its user, for as long as it lives.
  if (::getrlimit(RLIMIT_SIGPENDING, &limit) == 0 && limit.rlim_cur < sub_workers)
    faults.push_back(
        {"", fmt::format("{} sub-workers need {} pending signals, and this user may have {}: raise the limit "
                         "(ulimit -i, LimitSIGPENDING=) or lower \"count\"",
                         sub_workers, sub_workers, limit.rlim_cur)});
}

// What keeps a configuration that is right by itself from being taken here.
Faults faults_of(const ConfigurationFile& file, const config::Config& config) {
  Faults faults;
  judge_url("url", config.database.url, file.url_origin, faults);
  judge_url("listen_url", config.database.listen_url, "", faults);
  for (const config::Group& group : config.groups) judge_user(group, faults);
  judge_limits(config, faults);
  return faults;
}

}  // namespace

Reading read_configuration(const ConfigurationFile& file, std::string text, config::Files files) {
  Reading reading;
  const auto parsed = config::parse(text, file.directory, files, file.path);
  for (const config::Problem& problem : parsed.problems)
    reading.faults.push_back(config::to_string(problem, file.path));
  if (!parsed.config) {
    reading.reason = reading.faults.front();
    return reading;
  }
  config::Config config = *parsed.config;
  config::apply(file.overrides, config);
  if (files == config::Files::check) {
    for (const Fault& fault : faults_of(file, config)) {
      reading.faults.push_back((fault.origin.empty() ? file.path : fault.origin) + ": " + fault.words);
      if (reading.reason.empty()) reading.reason = fault.origin.empty() ? fault.words : reading.faults.back();
    }
  }
  if (reading.faults.empty()) reading.configuration = Configuration{std::move(config), std::move(text)};
  return reading;
}

sys::LogOptions log_options(const config::Log& log) {
  return {log.level, log.levels, log.format == config::LogFormat::json, log.file};
}

}  // namespace postpone::supervisor

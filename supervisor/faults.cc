// What a configuration asks of this process and its libraries, beyond being right by itself.
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "board/board.h"
#include "sql/connecting.h"
#include "supervisor/supervisor.h"
#include "sys/process.h"

namespace postpone::supervisor {
namespace {

// Each child: its pidfd, its leash, and the loop's own copy of both. Beside them the loop, the board, the
// configuration (two of them during a reload), the log, the LISTEN connection, the status socket and some of
// its visitors, and what a child is started with.
constexpr rlim_t kForEachChild = 4;
constexpr rlim_t kBesides = 40;
constexpr rlim_t kChildrenBesides = 2;  // housekeeper, preflight

void judge_url(const char* key, const std::string& url, std::vector<std::string>& faults) {
  if (const std::string fault = sql::fault_of_url(url); !fault.empty())
    faults.push_back(fmt::format("\"{}\" in [database]: {}", key, fault));
}

void judge_user(const config::Group& group, std::vector<std::string>& faults) {
  if (group.user.empty()) return;
  const auto user = sys::find_user(group.user);
  if (user && sys::may_start_as(*user)) return;
  faults.push_back(
      fmt::format("\"user\" in [[group]] \"{}\": this supervisor may not start processes as another user; "
                  "run it as root, or "
                  "with the ambient capabilities CAP_SETUID, CAP_SETGID and CAP_KILL",
                  group.name));
}

}  // namespace

std::vector<std::string> faults_of(const config::Config& config) {
  std::vector<std::string> faults;
  judge_url("url", config.database.url, faults);
  judge_url("listen_url", config.database.listen_url, faults);
  for (const config::Group& group : config.groups) judge_user(group, faults);
  rlimit limit{};
  const auto children = static_cast<rlim_t>(config.total_subworkers()) + kChildrenBesides;
  const rlim_t needed = kBesides + kForEachChild * children;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed)
    faults.push_back(fmt::format(
        "{} sub-workers need {} open files in the supervisor, and it may have {}: raise the limit "
        "(ulimit -n, LimitNOFILE=) or lower \"count\"",
        config.total_subworkers(), needed, limit.rlim_cur));
  // Memory counts as a file here.
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < board::Board::bytes())
    faults.push_back(
        fmt::format("the shared memory of a family takes {} bytes of addresses, and this process may make "
                    "files of {} bytes at most: raise the limit (ulimit -f, LimitFSIZE=)",
                    board::Board::bytes(), limit.rlim_cur));
  return faults;
}

}  // namespace postpone::supervisor

// Whether it was the kernel, for want of memory, that sent a SIGKILL. Nothing in how a process ends tells;
// counters do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postpone::sys {

// The value of a line "<name> <number>" in the text of memory.events, /proc/vmstat and the like; nothing when
// it has no such line. Pure.
std::optional<std::uint64_t> counter_in(std::string_view text, std::string_view name);

// Remembers the counters, and says what has happened since. Not thread-safe; copies nothing of the process.
class OomWitness {
 public:
  enum class Verdict {
    no,        // the kernel killed nobody
    probable,  // it killed somebody on this host, or in our cgroup
    certain,   // it killed somebody in a cgroup that holds nobody else
  };

  // `cgroup`: the directory of a cgroup (version 2) that holds the suspects and nobody else; empty = there is
  // none.
  explicit OomWitness(std::string cgroup = "");

  // Remembers the present counters: what came before does not count. Reads two or three files, some 50 us.
  void look();
  Verdict verdict() const;

 private:
  struct Counters {
    std::optional<std::uint64_t> cgroup;      // memory.events: oom_kill
    std::optional<std::uint64_t> own_cgroup;  // the same, where this process lives
    std::optional<std::uint64_t> host;        // /proc/vmstat: oom_kill, those in cgroups included
  };
  Counters read() const;

  std::string cgroup_;
  std::string own_cgroup_;
  Counters seen_;
};

// Who the kernel takes first when memory runs out, -1000 to 1000: the most negative last. Lowering it takes
// CAP_SYS_RESOURCE; false when that was refused, and nothing has changed.
int oom_score_adj();
bool set_oom_score_adj(int score);
bool set_oom_score_adj_of(pid_t process, int score);
inline constexpr int kHighestOomScoreAdj = 1000;

}  // namespace postpone::sys
